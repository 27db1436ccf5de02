"""The import direction of evo_qnas, and what a plain import may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "evo_qnas"

# A part may import itself and every part on an earlier line; parts on one line do not know each other.
LAYERS = [
    ["errors", "terminal"],
    ["arrays", "files", "fingerprints", "frames", "importing", "progress", "jobs", "reading", "spreadsheets"],
    ["cards"],
    ["registry"],
    ["spaces"],
    ["tables"],
    ["problem"],
    ["pareto"],
    ["archive", "predict", "summary"],
    ["search"],
    ["compare"],
    ["plots"],
    ["report"],
    ["testing"],
    ["data"],
    ["metrics"],
    ["networks"],
    ["pipeline"],
    ["study"],
    ["cli"],
    ["__main__"],
]
# The same inside the two parts that have rooms.
ROOMS = {
    "networks": [
        ["models"],
        ["acceleration", "capture"],
        ["candidates"],
        ["quantization", "tasks"],
        ["integer", "training"],
        ["bundle", "scoring"],
        ["export"],
        ["checking"],
        ["testing"],
    ],
    "pipeline": [
        ["cards"],
        ["context", "limits"],
        ["features", "jobs", "problems"],
        ["refinement"],
        ["latency"],
        ["validation"],
        ["stored", "dry_run", "found_blocks", "metric_trial"],
        ["stages"],
        ["blame", "check", "testing"],
        ["run"],
        ["__init__"],
    ],
}
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
WITH_TORCH = {"data", "metrics", "networks", "pipeline", "study", "cli", "__main__"}
HEAVY = (
    "distributed",
    "ray",
    "torch",
    "pymoo",
    "matplotlib",
    "onnxruntime",
    "sklearn",
    "pandas",
    "plotly",
    "scipy.linalg",
    "scipy.stats",
    "scipy.optimize",
    "scipy.sparse",
)


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            if node.module == "evo_qnas":
                names.update(f"evo_qnas.{alias.name}" for alias in node.names)
    return names


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    here = part_of(path)
    assert here in LEVEL, f"{here} has no place in LAYERS"
    for name in imported(path):
        if name.startswith("evo_qnas."):
            there = name.split(".")[1]
            assert there == here or LEVEL[there] < LEVEL[here], f"{path} imports {name}"
        if name.split(".")[0] in {"torch", "safetensors"}:
            assert here in WITH_TORCH, f"{path} imports {name}: the engine needs no torch"
        if name.split(".")[0] == "pymoo":
            bridge = "pymoo_bridge" in {path.stem, path.parent.name}
            assert bridge, f"{path} imports {name}: pymoo lives behind one bridge"
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8"), f"{path}: no TYPE_CHECKING escape"


def room_of(path: Path, part: str) -> str:
    return path.relative_to(PACKAGE / part).parts[0].removesuffix(".py")


@pytest.mark.parametrize("part", ROOMS)
def test_rooms_import_one_way(part: str) -> None:
    """What a room imports lies in itself or on an earlier line; rings between modules are in test_structure."""
    level = {room: number for number, rooms in enumerate(ROOMS[part]) for room in rooms}
    files = [
        path for path in (PACKAGE / part).rglob("*.py") if path != PACKAGE / part / "__init__.py" or part != "networks"
    ]
    for path in files:
        here = room_of(path, part)
        assert here in level, f"{path} has no place in ROOMS"
        for name in imported(path):
            if name.startswith(f"evo_qnas.{part}."):
                there = name.split(".")[2]
                assert there in level, f"{path} imports {name}, which has no place in ROOMS"
                assert there == here or level[there] < level[here], f"{path} imports {name}"


def test_plain_import_is_light() -> None:
    code = f"import sys, evo_qnas; print([m for m in {HEAVY!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_command_line_waits_for_no_array() -> None:
    """Help, completion and refusals are there at once: what computes is imported by the verb that runs."""
    code = "import sys, evo_qnas.cli; print([m for m in ('numpy', 'h5py', 'pydantic', 'joblib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
