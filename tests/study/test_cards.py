"""Cards whose data and task are functions and objects of the user's."""

from pathlib import Path

import pytest

from evo_qnas.errors import CardError, DataError
from evo_qnas.pipeline.stored import open_run
from evo_qnas.study import Study
from tests.pipeline.conftest import SMALL

OWN = [
    'data="tests.study.own:halves"',
    'task="tests.study.own:TASK"',
    "teacher.parameters.classes=1",
    "teacher.training.shift_pixels=0",
    "finetuning.shift_pixels=0",
]


def test_a_card_goes_through_a_study(tmp_path: Path) -> None:
    study = Study.from_card("digits", changes=[*SMALL, *OWN], folder=tmp_path).run("blocks", jobs=1)
    assert study.context.name == "digits"
    assert study.context.task.metric_name == "MAE"
    assert set(study.context.workload.digests) == {"data", "task"}
    assert [len(part) for part in (study.context.splits.train, study.context.splits.test)] == [20, 20]
    assert (study.folder / "teacher.safetensors").is_file()
    # Its resolved card holds digests of the user's code, and is read all the same.
    assert open_run(tmp_path, trust=True).card == study.context.card


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ('data="tests.study.own:nothing"', DataError, r"data\.name = 'tests\.study\.own:nothing' cannot be imported"),
        ("data.options={size=3}", DataError, r"does not take data\.options"),
        ('data="tests.study.own:TASK"', DataError, r"is a MeasuredTask, not a function"),
    ],
)
def test_data_that_cannot_be_had(change: str, error: type[Exception], match: str, tmp_path: Path) -> None:
    changes = (
        [*SMALL, *OWN, change]
        if "options" not in change
        else [*SMALL, *OWN[1:], 'data.name="tests.study.own:halves"', change]
    )
    with pytest.raises(error, match=match):
        _ = Study.from_card("digits", changes=changes, folder=tmp_path).context.splits


def test_a_task_that_is_none() -> None:
    with pytest.raises(CardError, match=r"task = 'tests\.study\.own:halves' is a dict, not a networks|is a function"):
        Study.from_card("digits", changes=[*SMALL, 'task="tests.study.own:halves"'])
