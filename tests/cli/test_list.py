"""`evo-qnas list`: every kind has a line for each entry, and what needs an extra says so."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.cli.list import KINDS
from evo_qnas.errors import CardError

# One entry of each kind, with part of its line.
ENTRIES = {
    "problems": ("digits", "Handwritten digits"),
    "operators": ("identity", "the block is left out"),
    "algorithms": ("nsga2", "non-dominated sorting"),
    "objectives": ("max:COLUMN", "largest value of a block"),
    "datasets": ("camvid", "road scenes"),
    "devices": ("cortex_m7", "480 MHz"),
    "runtimes": ("onnx", "ONNX files"),
    "tasks": ("segmentation", "one label per pixel"),
    "schemes": ("per_channel", "a scale per output channel"),
    "roundings": ("compensated", "for each one's rounding"),
    "operations": ("conv1d", "convolution; runtimes: onnx"),
    "stages": ("teacher", "the float network"),
    "checks": ("baseline", "smaller than the INT8 teacher"),
}
WITHOUT_TORCH = ("problems", "operators", "algorithms", "objectives", "devices", "checks")

_CODE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "safetensors", "sklearn", "onnx", "onnxruntime"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from typer.testing import CliRunner
from evo_qnas.cli import app
for kind in sys.argv[1:]:
    result = CliRunner().invoke(app, ["list", kind])
    print(kind, result.exit_code, result.exception)
"""


def test_entries_cover_all_kinds() -> None:
    assert ENTRIES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_each_entry_has_its_line(kind: str) -> None:
    rows = KINDS[kind]()
    assert all(text and "\n" not in text for text in rows.values())
    result = CliRunner().invoke(app, ["list", kind])
    assert result.exit_code == 0
    name, text = ENTRIES[kind]
    lines = result.output.splitlines()
    assert len(lines) == len(rows)
    assert text in next(line for line in lines if line.split()[0] == name)


def test_operations_name_the_runtimes_that_translate_them() -> None:
    rows = KINDS["operations"]()
    assert rows["add"] == "arithmetic; runtimes: onnx, tflite"
    assert rows["gelu"] == "function; runtimes: onnx, tflite"


def test_an_unknown_kind_is_one_sentence() -> None:
    result = CliRunner().invoke(app, ["list", "runtime"])
    assert isinstance(result.exception, CardError)
    assert str(result.exception) == "there is no kind 'runtime' to list; the nearest are: runtimes, roundings"


def test_kinds_of_the_engine_need_no_torch() -> None:
    call = [sys.executable, "-c", _CODE, *KINDS]
    found = subprocess.run(call, capture_output=True, text=True, check=True).stdout.splitlines()
    expected = [
        f"{kind} 0 None"
        if kind in WITHOUT_TORCH
        else f"{kind} 1 evo-qnas list {kind} needs torch, which is not installed: pip install 'evo-qnas[train]'"
        for kind in KINDS
    ]
    assert found == expected
