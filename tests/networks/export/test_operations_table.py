"""The documentation's table of operations."""

from pathlib import Path

from evo_qnas.networks.capture.operations.registry import OPERATIONS
from evo_qnas.networks.export.operations_table import meaning_of, operations_table

PAGE = Path(__file__).resolve().parents[3] / "docs" / "operations.md"


def test_the_page_says_what_the_registry_says() -> None:
    """Written anew by `python -m evo_qnas.networks.export.operations_table docs/operations.md`."""
    assert PAGE.read_text(encoding="utf-8") == operations_table()


def test_meanings() -> None:
    words = {name: meaning_of(OPERATIONS.get(name)) for name in ("conv2d", "relu", "roll", "add", "silu", "batch_norm")}
    assert words == {
        "conv2d": "integers",
        "relu": "limits",
        "roll": "codes",
        "add": "integers",
        "silu": "floats",
        "batch_norm": "folded",
    }
