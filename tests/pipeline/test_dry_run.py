"""The dry run of cards: refused at once, kept for the next run, candidates left out for good."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.errors import NetworkError
from evo_qnas.networks.checking import DryRun, QuantizabilityReport
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.check import check_card, try_card
from evo_qnas.pipeline.context import RunContext
from tests.tried_once import TriedOnce

pytestmark = pytest.mark.usefixtures("tried_anew")

STUBBORN = "tests.networks.checking.stubborn"
REFUSED = {
    "Halving": r"decides by values .*stubborn\.py:\d+: while x\.abs\(\)\.mean\(\) > 0\.5\): write it",
    "StraightThrough": r"Sign has a gradient of its own.*stubborn\.py:\d+: signs: .* = Sign\.apply.*write it",
    "OwnOperation": r"stubborn\.double\.default is no operation .*stubborn\.py:\d+: .*docs/extending\.md",
}
OPERATOR = """
import torch
from torch import nn

from tests.networks.checking.stubborn import Sign

LABEL = "signs"
DEFAULTS = {}


class Signs(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.reading = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return Sign.apply(self.reading(x))


def build(shape):
    return Signs(shape.inputs[0]) if shape.inputs == shape.outputs else None
"""


def changes_for(name: str, small: list[str]) -> list[str]:
    """A card whose teacher is a network of the module of the user's."""
    kept = [change for change in small if not change.startswith(("teacher.parameters", "blocks."))]
    return [*kept, f"teacher.architecture={STUBBORN}:{name}", "teacher.parameters={}", 'blocks.names=["body"]']


@pytest.mark.parametrize("name", REFUSED)
def test_run_refuses_at_once_what_could_not_end(tmp_path: Path, small: list[str], name: str) -> None:
    _, card = load_card("digits", changes=changes_for(name, small))
    with pytest.raises(NetworkError, match=REFUSED[name]):
        run_card("mine", card, tmp_path / "run", jobs=1)
    assert not (tmp_path / "run" / "card.toml").exists()
    assert not (tmp_path / "run" / "teacher.safetensors").exists()


def options_for(changes: list[str]) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


def test_check_says_the_same_and_prints_the_report(small: list[str]) -> None:
    result = CliRunner().invoke(app, ["check", "digits", *options_for(changes_for("Halving", small))])
    assert isinstance(result.exception, NetworkError)
    assert "decides by values" in str(result.exception)
    result = CliRunner().invoke(app, ["check", "digits", *options_for(changes_for("Plain", small)), "--json"])
    assert result.exit_code == 0
    content = json.loads(result.stdout)
    assert content["fits"]
    assert [row["operation"] for row in content["rows"]] == ["input", "conv2d", "relu", "mean", "linear"]


@pytest.fixture
def signs(tmp_path: Path) -> str:
    path = tmp_path / "signs.py"
    path.write_text(OPERATOR)
    return f'operators=[{{card="{path}"}},{{card="depthwise_separable",kernel=[3],depth=[1]}}]'


def context_of(folder: Path, changes: list[str]) -> RunContext:
    name, card = load_card("digits", changes=changes, seed=5)
    return RunContext(name=name, card=card, folder=folder)


def test_a_candidate_that_cannot_go_through_stays_out(
    tmp_path: Path, small: list[str], signs: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder, changes = tmp_path / "run", [*small, signs]
    before = context_of(folder, changes)
    context = check_card(before, anew=False)
    sentence = "operator 'signs' is left out of block 'stages.1': "
    assert sum(sentence in record.message for record in caplog.records) == 1
    # The first block has a stride: it does not fit there, which is no warning.
    assert [context.candidates.labels(name) for name in ("stages.0", "stages.1")] == [("ds_k3_d1",)] * 2
    assert context.fingerprints.tables != before.fingerprints.tables

    def never(_self: DryRun) -> QuantizabilityReport:
        raise AssertionError("the dry run is repeated")

    with monkeypatch.context() as patched:
        patched.setattr(DryRun, "report", never)
        again = check_card(context_of(folder, changes), anew=False)
    assert again.fingerprints.tables == context.fingerprints.tables
    assert again.candidates.labels("stages.1") == ("ds_k3_d1",)
    # A worker process sees the same.
    make, arguments = context.__reduce__()
    assert make(*arguments).candidates.labels("stages.1") == ("ds_k3_d1",)


def test_blocks_are_found_where_the_card_says_so(tmp_path: Path, small: list[str]) -> None:
    context = check_card(context_of(tmp_path / "run", [*small, "blocks.names=auto"]), anew=False)
    assert context.card.blocks.names == ["stages.0", "stages.1"]
    assert 'names = ["stages.0", "stages.1"]' in (tmp_path / "run" / "card.toml").read_text()
    # The same card goes on there, and so does the one that names them.
    assert check_card(context_of(tmp_path / "run", [*small, "blocks.names=auto"]), anew=False).card == context.card
    check_card(context_of(tmp_path / "run", small), anew=False)


def test_an_operator_that_fits_no_block_because_of_an_error_is_refused(tmp_path: Path, small: list[str]) -> None:
    path = tmp_path / "broken.py"
    path.write_text("LABEL, DEFAULTS = 'broken', {}\n\n\ndef build(shape):\n    raise ValueError('no such width')\n")
    context = context_of(tmp_path / "run", [*small, f'operators=[{{card="{path}"}},{{card="identity"}}]'])
    with pytest.raises(NetworkError, match=r"operator 'broken' cannot be built for block 'stages\.0' .*no such width"):
        try_card(context)


def test_an_operator_that_fits_no_block_is_named(
    tmp_path: Path, small: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A run without it would look like one in which nothing was worth replacing."""
    path = tmp_path / "choosy.py"
    path.write_text("LABEL, DEFAULTS = 'choosy', {}\n\n\ndef build(shape):\n    return None\n")
    operators = f'operators=[{{card="{path}"}},{{card="identity"}},{{card="depthwise_separable",kernel=[3],depth=[1]}}]'
    context = check_card(context_of(tmp_path / "run", [*small, operators]), anew=False)
    named = [record.message for record in caplog.records if "'choosy' is left out" in record.message]
    assert len(named) == len(context.card.blocks.names) == 2
    assert "its card says that it does not fit" in named[0]
    # A block with a stride cannot become nothing, but the other one can: no warning.
    assert not any("'identity'" in record.message for record in caplog.records)


def test_what_was_found_depends_on_the_source_of_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_network.py").write_text("from torch import nn\n\n\nclass Net(nn.Linear):\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from evo_qnas.pipeline.context import sources

    module: Any = __import__("my_network")
    before = sources.sources_of(module.Net(2, 2))
    assert list(before) == ["my_network"]
    (tmp_path / "my_network.py").write_text("from torch import nn\n\n\nclass Net(nn.Linear):\n    wide = True\n")
    sources._of_file.cache_clear()
    assert sources.sources_of(module.Net(2, 2)) != before
    assert sources.sources_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == {}
    assert torch.is_grad_enabled()


def test_other_tests_try_the_same_card_once(tmp_path: Path, small: list[str]) -> None:
    """Their memory tells operator cards apart that have one name."""
    tried: list[RunContext] = []

    def made(context: RunContext) -> QuantizabilityReport:
        tried.append(context)
        return QuantizabilityReport(rows=())

    memory = TriedOnce(made)
    path = tmp_path / "other.py"
    path.write_text("LABEL, DEFAULTS = 'identity', {}\n\n\ndef build(shape):\n    return None\n")
    searches = [*small, "search.evaluations=90"]
    others = [f'operators=[{{card="{path}"}}]', "quantization.weight_bits=[4,8]", "teacher.parameters.head=8"]
    cards = [small, searches, small, *([*small, change] for change in others)]
    for number, changes in enumerate(cards):
        memory(context_of(tmp_path / str(number), changes))
    assert [context.folder.name for context in tried] == ["0", "3", "4", "5"]
