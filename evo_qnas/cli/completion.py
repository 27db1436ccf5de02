"""Values that a shell completes. Nothing here loads torch or an algorithm: a key press waits for it."""

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

# Names of entries whose registries load more than a key press may take; tests compare them with those registries.
STAGES = (
    "teacher",
    "blocks",
    "tables",
    "latency",
    "compiled",
    "search",
    "networks",
    "export",
    "summary",
)
ALGORITHMS = (
    "nsga2",
    "nsga3",
    "moead",
    "sms-emoa",
    "age-moea2",
    "spea2",
    "rvea",
    "random",
    "local",
    "surrogate",
    "exact",
)
RUNTIMES = (
    "onnx",
    "tflite",
    "ethos-u55-128",
    "ethos-u55-256",
    "ethos-u65-256",
    "ethos-u65-512",
    "openvino",
    "tflite-micro",
)
PICTURES = ("front", "parallel", "blocks", "gain", "convergence", "validation")
TABLE_KINDS = ("csv", "hawq", "haq", "apq", "nas-bench-macro")
_COLUMNS_OF = ("mean:", "max:", "worst:")


def problem_cards(incomplete: str) -> list[str]:
    """Names of problem cards, and TOML files."""
    from evo_qnas.cards import list_cards

    return _beginning([name for name in list_cards("problems") if name != "suite"] + _files(incomplete), incomplete)


def device_cards(incomplete: str) -> list[str]:
    """Names of device cards."""
    from evo_qnas.cards import list_cards

    return _beginning(list_cards("devices"), incomplete)


def variations(incomplete: str) -> list[str]:
    """Names of recipes of variation."""
    from evo_qnas.cards import list_cards

    return _beginning(list_cards("operators/variation"), incomplete)


def suites(incomplete: str) -> list[str]:
    """What can be compared on: the suite, and files of tables or suites."""
    return _beginning(["suite", *_files(incomplete)], incomplete)


def algorithms(incomplete: str) -> list[str]:
    """Names of algorithms."""
    return _beginning(_with_others(ALGORITHMS, "evo_qnas.algorithms"), incomplete)


def stages(incomplete: str) -> list[str]:
    """Names of stages that a run may end with."""
    return _beginning(_with_others(STAGES, "evo_qnas.stages"), incomplete)


def runtimes(incomplete: str) -> list[str]:
    """Names of runtimes."""
    return _beginning(_with_others(RUNTIMES, "evo_qnas.runtimes"), incomplete)


def of(names: Iterable[str]) -> Callable[[str], list[str]]:
    """A completion of fixed names."""
    known = tuple(names)

    def completed(incomplete: str) -> list[str]:
        return _beginning(known, incomplete)

    return completed


def columns(ctx: Any, incomplete: str) -> list[str]:
    """Names of the columns of the tables that the command line names, alone and as an objective."""
    source = _named(ctx, "tables", "target", "file")
    try:
        names = [] if source is None else _columns(source)
    except (OSError, ValueError, KeyError):
        names = []
    return _beginning([*names, *(f"{kind}{name}" for kind in _COLUMNS_OF for name in names)], incomplete)


def networks(ctx: Any, incomplete: str) -> list[str]:
    """Ids of the validated networks of a run folder."""
    folder = _named(ctx, "folder")
    found = [] if folder is None else [path.parent.name for path in folder.glob("networks/*/weights.safetensors")]
    return _beginning(["teacher_int8", *sorted(found)], incomplete)


def _named(ctx: Any, *parameters: str) -> Path | None:
    """The file or folder that an argument names; of a line that is not whole, arguments are left unparsed."""
    words = [ctx.params.get(name) for name in parameters] + list(ctx.args)
    return next((Path(word) for word in words if word and Path(word).exists()), None)


def _columns(path: Path) -> list[str]:
    from evo_qnas.tables import Tables

    path = path / "tables.h5" if path.is_dir() else path
    return list((Tables.from_csv(path) if path.suffix == ".csv" else Tables.load(path)).columns)


def _files(incomplete: str) -> list[str]:
    """Files and folders that begin so, in the folder that is being typed."""
    folder, _, _ = incomplete.rpartition("/")
    there = Path(folder or ("/" if incomplete.startswith("/") else "."))
    entries = sorted(there.iterdir()) if there.is_dir() else []
    prefix = f"{folder}/" if "/" in incomplete else ""
    kept = [path for path in entries if path.is_dir() or path.suffix in {".toml", ".h5", ".csv"}]
    return [f"{prefix}{path.name}{'/' if path.is_dir() else ''}" for path in kept if not path.name.startswith(".")]


def _with_others(names: Iterable[str], group: str) -> list[str]:
    """Ours, and those of other packages."""
    return [*names, *sorted(entry.name for entry in entry_points(group=group))]


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
