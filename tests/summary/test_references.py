"""The tracked reference summaries are summaries of today."""

import json
from pathlib import Path

import pytest

from evo_qnas.summary import RunSummary

FOLDER = Path(__file__).resolve().parent.parent.parent / "results" / "reference"
FILES = sorted(FOLDER.glob("*/summary*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_reference_is_read_and_written_as_it_is(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    assert RunSummary.model_validate(content).to_dict() == content


def test_there_are_references() -> None:
    assert {path.parent.name for path in FILES} == {"camvid", "detection", "digits", "speech", "streets"}
