"""Numbers of a card that cannot be meant: one sentence each, before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzzing.networks import CARD, image_arrays, write_data
from evo_qnas.errors import CardError, DataError, DivergenceError, NetworkError
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.check import check_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stages.tables import check_score
from evo_qnas.study import Study


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ("teacher.training.learning_rate=inf", r"learning_rate = inf: .*finite number"),
        ("distillation.weight_decay=nan", r"weight_decay = nan: .*finite number"),
        ("finetuning.temperature=inf", r"temperature = inf: .*finite number"),
        ("validation.size_shares=[nan]", r"size_shares\.0 = nan: .*finite number"),
        ("data.mean=[nan,0.5,0.5]", r"data\.mean\.0 = nan: .*finite number"),
        ("data.mean=[1e300,0.5,0.5]", r"data\.mean\.0 = 1e\+300: .*less than or equal to 1"),
        ("data.std=[0.5,nan,0.5]", r"data\.std\.1 = nan: .*finite number"),
        ("data.std=[1e-300,0.5,0.5]", r"data\.std\.0 = 1e-300: .*greater than or equal to 0\.001"),
        ("data.split_seed=4294967296", r"data\.split_seed = 4294967296: .*less than"),
        ("seed=9223372036854775808", r"seed = 9223372036854775808: .*less than"),
        ("data.height=1000000000", r"data\.height = 1000000000: .*less than or equal to 16384"),
        ("search.population=1000000000", r"search\.population = 1000000000: .*less than"),
        ("distillation.steps=1" + "0" * 30, r"distillation\.steps = 10+: .*less than"),
        ("distillation.steps=1" + "0" * 5000, r"--set distillation\.steps: the value is too long"),
        ("search.ties=" + "[" * 5000, r"--set search\.ties: the value is too long or too deep|search\.ties"),
    ],
)
def test_numbers_that_cannot_be_meant(change: str, match: str) -> None:
    with pytest.raises(CardError, match=match):
        load_card("digits", changes=[change])


@pytest.mark.parametrize("text", ["a = 1" + "0" * 5000, "a = " + "[" * 5000], ids=["long", "deep"])
def test_a_card_that_toml_cannot_hold(tmp_path: Path, text: str) -> None:
    path = tmp_path / "card.toml"
    path.write_text(text)
    with pytest.raises(CardError, match=r"card\.toml cannot be read"):
        load_card(str(path))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            "teacher.parameters.classes=2",
            r"has 2 outputs and the data have 10 classes: give it at least 10",
        ),
        ("teacher.parameters.classes=0", r"teacher\.parameters\.classes must be from 1"),
        ("teacher.parameters.channels=3", r"the teacher cannot take images of shape \(1, 8, 8\)"),
    ],
)
def test_a_teacher_that_does_not_fit_the_data(tmp_path: Path, small: list[str], change: str, match: str) -> None:
    name, card = load_card("digits", changes=[*small, change])
    with pytest.raises(NetworkError, match=match):
        check_card(RunContext(name=name, card=card, folder=tmp_path / "run"), anew=False)
    assert not (tmp_path / "run" / "card.toml").exists()


def test_a_score_that_is_no_number_comes_into_no_table() -> None:
    check_score(0.5, "block 'a'")
    with pytest.raises(NetworkError, match=r"block 'a': the score is nan, its outputs or the teacher's are no numbers"):
        check_score(float("nan"), "block 'a'")


def test_distillation_in_which_nothing_learns_is_refused(tmp_path: Path, small: list[str]) -> None:
    name, card = load_card("digits", changes=[*small, "distillation.learning_rate=1e30", "distillation.steps=6"])
    for _ in range(2):  # a second run knows it from what the first one left
        with pytest.raises(DivergenceError, match=r"block 'stages\.0': .*: lower distillation\.learning_rate = 1e\+30"):
            run_card(name, card, tmp_path / "run", jobs=1)
    # The identity has nothing to learn and is kept.
    assert [path.name for path in (tmp_path / "run" / "blocks" / "stages.1").glob("*.safetensors")] == [
        "identity.safetensors"
    ]
    assert not (tmp_path / "run" / "tables.h5").exists()


def test_a_run_whose_last_operator_is_left_out_by_its_score_goes_on(tmp_path: Path, small: list[str]) -> None:
    """It had learnt: a score that is no number left it out, in the network or alone, and the run ended without it."""
    study = Study.from_card("digits", changes=small, folder=tmp_path / "run").run("blocks", jobs=1)
    context = study.context
    for shape in context.shapes:
        for label in set(context.candidates.labels(shape.name)) - context.candidates.weightless(shape.name):
            context.leave_out(shape.name, label, "its score inside the network is nan")
    again = Study.from_card("digits", changes=small, folder=tmp_path / "run").run("blocks", jobs=1)
    assert {label for shape in context.shapes for label in again.context.candidates.labels(shape.name)} == {"identity"}


@pytest.mark.parametrize("key", ["data.folder", "data.cache", "teacher.weights", "teacher.start"])
def test_links_that_lead_round(tmp_path: Path, key: str) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(CardError, match=rf"{key}: '.*loop.*' leads nowhere"):
        load_card("digits", changes=[f'{key}="{loop}/a"'])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_search_images_for_a_standard_error(tmp_path: Path, count: int) -> None:
    """The standard error of one score was NaN, in a table."""
    write_data(tmp_path / "data")
    arrays = image_arrays(1, count=max(count, 1))
    few = {name: values[:count] for name, values in arrays.items()}
    np.savez(tmp_path / "data" / "search.npz", **few)
    (tmp_path / "card.toml").write_text(CARD)
    name, card = load_card(str(tmp_path / "card.toml"))
    match = r"the search split has 1 images" if count else r"needs pixels \(n, channels, height, width\)"
    with pytest.raises((CardError, DataError), match=match):
        check_card(RunContext(name=name, card=card, folder=tmp_path / "run"), anew=False)
