"""Rounds of measured latency that a run finds again and that somebody has changed since."""

import json
from pathlib import Path

import pytest

from evo_qnas.networks.export.common.latency import _read_rounds

HEAD = {"fingerprint": "a", "names": ["one", "two"], "seed": 0, "threads": 1}


@pytest.mark.parametrize(
    "line", ["[NaN, 1]", "[1e400, 1]", "[-1, 1]", "5", "null", '["a", 1]', "[" * 100_000, "[[1], 1]"]
)
def test_damaged_rounds_are_measured_again(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rounds.jsonl"
    for more, rounds in (("", [[1.0, 2.0]]), (f"{line}\n", [])):
        path.write_text(f"{json.dumps(HEAD)}\n[1, 2]\n{more}")
        assert _read_rounds(path, HEAD) == rounds
