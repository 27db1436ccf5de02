"""Tables that others published.

- `import_hawq`: Hessian sensitivities per layer and bit-width.
- `import_haq`: cost per layer, weight bits and activation bits.
- `import_apq`: latency and energy of kernel x width x bits on BitFusion.
- `import_macro`, `read_macro`: NAS-Bench-Macro, as an additive fit and as measured.
- `import_tables`, `KINDS`: any of them, or CSV, by kind.
"""

from collections.abc import Callable
from pathlib import Path

from evo_qnas.errors import TableError
from evo_qnas.reading import array_names
from evo_qnas.tables.importers.apq import import_apq
from evo_qnas.tables.importers.haq import import_haq
from evo_qnas.tables.importers.hawq import import_hawq
from evo_qnas.tables.importers.nas_bench_macro import MacroTruth, import_macro, read_macro
from evo_qnas.tables.tables import Tables

KINDS: dict[str, Callable[[Path], Tables]] = {
    "csv": Tables.from_csv,
    "hawq": import_hawq,
    "haq": import_haq,
    "apq": import_apq,
    "nas-bench-macro": import_macro,
}

_MARKS = {"lut": "haq", "key_fields": "apq", "codes": "nas-bench-macro"}


def detect_kind(path: str | Path) -> str:
    """The kind of a source, by its ending and the names of its arrays.

    Raises:
        TableError: the kind is not clear.
    """
    file = Path(path)
    if not file.is_file():
        raise TableError(f"there is no file {file}")
    if file.suffix in {".csv", ".json"}:
        return "csv" if file.suffix == ".csv" else "hawq"
    if file.suffix == ".npz":
        names = array_names(file, TableError)
        for mark, kind in _MARKS.items():
            if mark in names:
                return kind
    raise TableError(f"the kind of {file} cannot be told: say one of {', '.join(KINDS)} with --kind")


def import_tables(path: str | Path, *, kind: str | None = None) -> Tables:
    """Tables of a source of any known kind; None detects it.

    Raises:
        TableError: the kind is unknown or not clear, or the source breaks a rule.
    """
    chosen = detect_kind(path) if kind is None else kind
    if chosen not in KINDS:
        raise TableError(f"there is no kind of source {chosen!r}; there are: {', '.join(KINDS)}")
    return KINDS[chosen](Path(path))


__all__ = [
    "KINDS",
    "MacroTruth",
    "detect_kind",
    "import_apq",
    "import_haq",
    "import_hawq",
    "import_macro",
    "import_tables",
    "read_macro",
]
