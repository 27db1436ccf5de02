from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from evo_qnas.cards import find_card
from evo_qnas.cli import app, main
from evo_qnas.errors import CardError
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.validation import Validation, finetuning_settings

BAD = {
    "unknown key": (["distillation.stepz=3"], r"unknown key 'distillation.stepz'; the nearest are: steps"),
    "unknown section": (["destillation.steps=3"], r"unknown key 'destillation'; the nearest are: distillation"),
    "unknown block": (['blocks.names=["stages.9"]'], r"no submodule 'stages.9'; the nearest are: .*stages\.0"),
    "one bit": (["quantization.weight_bits=[1,8]"], r"quantization.weight_bits.0 = 1: .*greater than or equal to 2"),
    "unknown rounding": (['quantization.rounding="up"'], r"quantization.rounding = 'up': there is no rounding 'up'"),
    "33 bits": (["quantization.activation_bits=[33]"], r"activation_bits.0 = 33: .*less than or equal to 8"),
    "operators of no block": (
        ['operators=[{card="pruned",blocks=["stages.9"]}]'],
        r"operators: no block is called 'stages.9'; the nearest are: .*stages\.0",
    ),
    "misspelt key": (
        ["quantization={weight_bit=[4,8]}"],
        r"unknown key 'quantization.weight_bit'; the nearest are: weight_bits",
    ),
    "no choice": (
        ["operators=[]", "quantization.weight_bits=[8]", "quantization.activation_bits=[8]"],
        r"nothing to choose: neither operators nor bits besides weight_bits = \[8\] and activation_bits = \[8\]",
    ),
    "unknown operator": (['operators=[{card="resnet"}]'], r"no card 'resnet' in operators/blocks/"),
    "missing data folder": (['data.name="arrays"', 'data.folder="nowhere"'], r"data folder .*nowhere does not exist"),
    "unknown data": (['data.name="mnist"'], r"no data set 'mnist'; there are: digits, arrays"),
    "unknown objective": (
        ['search.objectives=["score","energy"]'],
        r"no column 'energy'.*there are: score, size_bytes",
    ),
    "unknown algorithm": (
        ['search.algorithm="nsga"'],
        r"search.algorithm = 'nsga': there is none; the nearest are: .*nsga2",
    ),
    "unknown predictor": (
        ['predictor={kind="rigde"}'],
        r"predictor.kind = 'rigde': there is no such predictor; the nearest are: ridge",
    ),
    "unreadable limit": (['search.constraints=["size_bytes < 3"]'], r"limit 'size_bytes < 3': use <= or >="),
    "crops of quantized networks": (
        ["finetuning.augmentation={crop=[8,8]}"],
        r"finetuning.augmentation.*: .*images keep their size here, leave out crop = \[8, 8\]",
    ),
    "crops at full size": (
        ["teacher.training.full_size={epochs=1,learning_rate=0.1,augmentation={crop=[8,8]}}"],
        r"full_size.augmentation.*: .*images keep their size here, leave out crop = \[8, 8\]",
    ),
    "no form": (["seed"], r"--set 'seed' needs the form section.key=value"),
    "no weights": (['teacher.weights="none.safetensors"'], r"teacher.weights: there is no file .*none.safetensors"),
    "no weights to start from": (['teacher.start="none.pt"'], r"teacher.start: there is no file .*none.pt"),
    "weights twice": (
        ['teacher={architecture="deeplabv3",weights="a.pt",start="b.pt"}'],
        r"teacher.*: .*start is where training starts: give one of them",
    ),
    "unknown teacher": (['teacher.architecture="resnet"'], r"there is no teacher 'resnet'"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_card_gets_one_sentence_and_exit_code_2(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, match = BAD[case]
    arguments = ["evo-qnas", "run", "digits", "-o", str(tmp_path / "run")]
    for change in changes:
        arguments += ["--set", change]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    import re

    assert re.search(match, lines[0]), lines[0]
    assert not (tmp_path / "run" / "teacher.safetensors").exists()


@pytest.mark.slow
def test_weights_of_another_shape_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "other.safetensors"
    save_weights({"stem.0.weight": torch.zeros(3, 1, 3, 3)}, weights, {})
    run = ["evo-qnas", "run", "digits", "-o", str(tmp_path / "run"), "--set", f'teacher.weights="{weights}"']
    monkeypatch.setattr("sys.argv", run)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    *stages, said = capsys.readouterr().err.strip().splitlines()
    assert stages[-1].endswith("stage 1 of 9: teacher")
    assert "'stem.0.weight' has the shape (3, 1, 3, 3), the teacher needs (16, 1, 3, 3)" in said


def test_an_unknown_card_names_the_nearest() -> None:
    with pytest.raises(CardError, match="no card 'digit' in problems/; the nearest are: digits"):
        load_card("digit")


def test_changes_and_seed_reach_the_card() -> None:
    name, card = load_card("digits", changes=["search.evaluations=7", "search.algorithm=random"], seed=3)
    assert (name, card.seed, card.search.evaluations, card.search.algorithm) == ("digits", 3, 7, "random")


def test_a_path_is_looked_for_where_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = find_card("problems", "digits").read_text(encoding="utf-8")
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "mine.toml").write_text(text.replace("[teacher]", '[teacher]\nweights = "w.pt"', 1))
    monkeypatch.chdir(tmp_path)
    assert load_card("cards/mine.toml")[1].teacher.weights == tmp_path / "cards" / "w.pt"
    assert load_card("cards/mine.toml", changes=["teacher.weights=w.pt"])[1].teacher.weights == tmp_path / "w.pt"
    (tmp_path / "cards" / "start.toml").write_text(text.replace("[teacher]", '[teacher]\nstart = "w.pt"', 1))
    assert load_card("cards/start.toml")[1].teacher.start == tmp_path / "cards" / "w.pt"


def test_keeping_the_best_state_is_another_network(tmp_path: Path) -> None:
    context, other = (
        RunContext(name="digits", card=load_card("digits", changes=changes)[1], folder=tmp_path)
        for changes in ([], ["finetuning.keep=best"])
    )
    assert "watched" not in finetuning_settings(context)
    assert len(finetuning_settings(other)["watched"]) == len(other.splits.search)
    prints = {Validation(where).fingerprint("a", []) for where in (context, other)}
    assert len(prints) == 2


def test_a_start_is_another_teacher(tmp_path: Path) -> None:
    names = set()
    for content in (None, b"one", b"two"):
        (tmp_path / "w.pt").write_bytes(content or b"")
        _, card = load_card("digits", changes=[] if content is None else [f'teacher.start="{tmp_path / "w.pt"}"'])
        names.add(RunContext(name="digits", card=card, folder=tmp_path).fingerprints.teacher)
    assert len(names) == 3


def test_a_training_at_full_size_is_another_teacher(tmp_path: Path) -> None:
    further = "teacher.training.full_size={epochs=3,learning_rate=0.001}"
    plain, changed = (load_card("streets", changes=changes)[1] for changes in ([], [further]))
    phases = changed.teacher.training.values.phases
    assert [phase.epochs for phase in phases] == [plain.teacher.training.epochs, 3]
    assert phases[1].augmentation.crop is None
    assert phases[1].class_balance == phases[0].class_balance
    names = [RunContext(name="streets", card=card, folder=tmp_path).fingerprints.teacher for card in (plain, changed)]
    assert names[0] != names[1]
    assert "full_size" not in plain.teacher.model_dump(exclude_none=True)["training"]


def test_another_precision_is_another_training(tmp_path: Path) -> None:
    for key in ("teacher.training", "distillation"):
        names = []
        for changes in ([], [f"{key}.precision=float32"], [f"{key}.precision=auto"]):
            _, card = load_card("digits", changes=changes)
            context = RunContext(name="digits", card=card, folder=tmp_path)
            label = context.candidates.offers.operators[0].label
            names.append(context.fingerprints.candidate(card.blocks.names[0], label))
        assert names[0] == names[1] != names[2]
        with pytest.raises(CardError, match=rf"{key}.precision.*'float32', 'bfloat16' or 'auto'"):
            load_card("digits", changes=[f"{key}.precision=half"])


def test_operators_are_offered_for_the_blocks_that_they_name(tmp_path: Path) -> None:
    uses = (
        '[{card="pruned",blocks=["stages.1"],keep=[50]},{card="inverted_residual",kernel=[3],expansion=[2],depth=[1]}]'
    )
    name, card = load_card("digits", changes=[f"operators={uses}"])
    context = RunContext(name=name, card=card, folder=tmp_path)
    every = ("ir_k3_e2_d1",)
    assert {block: tuple(o.label for o in context.candidates.offers.of(block)) for block in card.blocks.names} == {
        **dict.fromkeys(card.blocks.names, every),
        "stages.1": ("pruned_50", *every),
    }
    _, other = load_card("digits", changes=[f"operators={uses.replace('stages.1', 'stages.0')}"])
    assert RunContext(name=name, card=other, folder=tmp_path).fingerprints.tables != context.fingerprints.tables


def test_scores_of_another_rounding_are_not_mixed(tmp_path: Path) -> None:
    """What is the default in the card's words or without them changes no fingerprint; anything else does."""
    prints = set()
    for value in ('"nearest"', '"compensated"'):
        name, card = load_card("digits", changes=[f"quantization.rounding={value}"])
        prints.add(RunContext(name=name, card=card, folder=tmp_path).fingerprints.tables)
        assert ("rounding" in card.quantization.model_dump()) == (value != '"nearest"')
    _, plain = load_card("digits")
    assert len(prints) == 2
    assert RunContext(name=name, card=plain, folder=tmp_path).fingerprints.tables in prints


def test_scores_of_another_version_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, card = load_card("digits")
    now = RunContext(name=name, card=card, folder=tmp_path).fingerprints.tables
    monkeypatch.setattr("evo_qnas.pipeline.context.fingerprints.SCORING", 1)
    assert RunContext(name=name, card=card, folder=tmp_path).fingerprints.tables != now


def test_a_card_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.toml"
    path.write_text("task = ")
    with pytest.raises(CardError, match=r"odd\.toml cannot be read"):
        load_card(str(path))


def test_help_shows_an_example() -> None:
    shown = CliRunner().invoke(app, ["run", "--help"])
    assert shown.exit_code == 0
    assert "evo-qnas run digits --seed 1" in shown.output.replace("\n", " ")


@pytest.mark.parametrize(("changes", "keep", "rate"), [([], "best", 1e-5), (["finetuning.keep=last"], "last", 1e-5)])
def test_borrowed_weights_are_fine_tuned_gently(tmp_path: Path, changes: list[str], keep: str, rate: float) -> None:
    """The digits card says a rate of its own, which holds whatever the weights; what it does not say is chosen."""
    _, card = load_card("digits", changes=[f'teacher.weights="{tmp_path / "w.pt"}"', *changes])
    assert card.finetuning.settings(borrowed=True).keep == keep
    assert card.finetuning.settings(borrowed=True).learning_rate == 1e-3
    plain = card.finetuning.model_copy(update={"learning_rate": None, "step_learning_rate": None})
    gentle, firm = (plain.settings(borrowed=borrowed) for borrowed in (True, False))
    assert (gentle.learning_rate, gentle.step_learning_rate) == (rate, 1e-3)
    assert (firm.learning_rate, firm.step_learning_rate) == (1e-3, 1e-2)
    assert RunContext(name="digits", card=card, folder=tmp_path).borrowed
    assert not RunContext(name="digits", card=load_card("digits")[1], folder=tmp_path).borrowed
