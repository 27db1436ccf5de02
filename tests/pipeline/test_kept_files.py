"""Files that a run finds again and that somebody has changed since: made again, or one sentence."""

from pathlib import Path
from typing import Any

import pytest

from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.context import RunContext, to_json
from evo_qnas.pipeline.stages.in_context import _InContext
from evo_qnas.pipeline.stages.tables import Scoring

CHOICE = {
    **{"operator": "teacher", "weight_bits": 8, "activation_bits": 8, "score": 0.1, "stderr": 0.01},
    "costs": {"size_bytes": 10, "macs": 20, "bit_operations": 30},
}
ROWS = {"score": [0.1], "stderr": [0.01], "seconds": 1.0}


@pytest.fixture
def context(tmp_path: Path, small: list[str]) -> RunContext:
    name, card = load_card("digits", changes=[*small, 'in_context.measure="kl"'])
    return RunContext(name=name, card=card, folder=tmp_path)


@pytest.mark.parametrize(
    "choices",
    [
        *(None, 5, [], [None], "text", [{}]),
        *([{**CHOICE, "score": value}] for value in (float("nan"), None, "0.1", 10**400)),
        *([{**CHOICE, name: "8"}] for name in ("weight_bits", "stderr", "costs")),
    ],
)
def test_damaged_scores_are_no_scores(context: RunContext, choices: Any) -> None:
    scoring, block = Scoring(context), "stages.0"
    for content, good in (([CHOICE], True), (choices, False)):
        fingerprint = context.fingerprints.scores(block)
        write_text(context.paths.choices(block), to_json({"fingerprint": fingerprint, "choices": content}))
        assert scoring.known(block) == (content if good else None)


@pytest.mark.parametrize(
    "change",
    [
        *({"score": value} for value in (None, 5, [float("inf")], ["0.1"], [None], [10**400])),
        *({"stderr": ["0.1"]}, {"stderr": None}, {"seconds": float("nan")}, {"seconds": None}),
    ],
)
def test_damaged_scores_in_context_are_no_scores(context: RunContext, change: dict[str, Any]) -> None:
    scoring, block = _InContext(context), "stages.0"
    for content, good in ((ROWS, True), ({**ROWS, **change}, False)):
        fingerprint = context.fingerprints.in_context(block)
        write_text(context.paths.in_context(block), to_json({"fingerprint": fingerprint, **content}))
        assert scoring.known(block) == (content if good else None)


@pytest.mark.parametrize("report", [None, {}, {"left_out": 5}, {"left_out": [{"block": "a"}]}, {"left_out": [None]}])
def test_a_damaged_report_of_the_dry_run_is_one_sentence(context: RunContext, report: Any) -> None:
    content = {"fingerprint": context.dry_run_fingerprint, "report": report}
    write_text(context.paths.check, to_json(content))
    with pytest.raises(CardError, match=r"check\.json is damaged: delete it and run the card again"):
        _ = context.candidates.offers.left_out
