"""Labels of candidates without building them, against building them; Python cards that take the block."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.cards import list_cards
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.misfit import Misfit
from evo_qnas.networks.candidates.operators import (
    Operator,
    build_candidate,
    candidate_labels,
    load_operators,
    misfits,
)
from evo_qnas.networks.models.deeplab import DeepLabV3
from evo_qnas.networks.models.layers import inverted_residual
from evo_qnas.networks.models.teachers import InvertedResidualClassifier
from evo_qnas.networks.testing.operators import OperatorContract

CARDS = [card for card, path in list_cards("operators/blocks").items() if path.suffix == ".toml"]
STAGES = [
    {"channels": 16, "expansion": 1, "depth": 1, "stride": 1},
    {"channels": 24, "expansion": 2, "depth": 1, "stride": 2},
    {"channels": 24, "expansion": 4, "depth": 2, "stride": 1},
]


def classifier() -> tuple[nn.Module, list[str], torch.Tensor]:
    network = InvertedResidualClassifier(channels=1, classes=4, stem=16, stages=STAGES, head=16)
    return network, [*(f"stages.{number}" for number in range(3)), "head"], torch.zeros(2, 1, 8, 8)


def segmenter() -> tuple[nn.Module, list[str], torch.Tensor]:
    network = DeepLabV3(classes=3, stem=16, stages=STAGES, aspp={"channels": 32, "rates": [1, 2]})
    return network, [*(f"stages.{number}" for number in range(3)), "aspp"], torch.zeros(2, 3, 24, 32)


def blocks_of(make: Callable[[], tuple[nn.Module, list[str], torch.Tensor]]) -> list[tuple[BlockShape, nn.Module]]:
    network, names, example = make()
    return [(shape, network.get_submodule(shape.name)) for shape in find_blocks(network, names, example)]


@pytest.mark.parametrize("make", [classifier, pytest.param(segmenter, marks=pytest.mark.slow)])
@pytest.mark.parametrize("card", CARDS)
def test_labels_are_those_of_the_modules_that_can_be_built(card: str, make: Callable[[], object]) -> None:
    operators = load_operators(card, {})
    for shape, block in blocks_of(make):
        state = {name: value.clone() for name, value in block.state_dict().items()}
        for own in (block, None):
            built = [build_candidate(operator, shape, seed=0, block=own) for operator in operators]
            fitting = [operator.label for operator, module in zip(operators, built, strict=True) if module is not None]
            assert candidate_labels(operators, shape, block=own) == tuple(fitting)
        assert all(torch.equal(value, state[name]) for name, value in block.state_dict().items())


@pytest.mark.parametrize("card", ["pruned", "pruned_residual", "low_rank", "identity", "separable_pyramid"])
def test_fit_depends_on_the_block(card: str) -> None:
    """A test of blocks that all cards fit, or none, would show nothing."""
    operators = load_operators(card, {})
    found = {bool(candidate_labels(operators, shape, block=block)) for shape, block in blocks_of(segmenter)}
    assert found == {True, False}


@pytest.mark.slow
def test_no_weights_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = []
    plain = nn.Conv2d.reset_parameters

    def note(self: nn.Conv2d) -> None:
        devices.append(self.weight.device.type)
        plain(self)

    monkeypatch.setattr(nn.Conv2d, "reset_parameters", note)
    shapes = blocks_of(segmenter)
    devices.clear()
    operators = [operator for card in CARDS for operator in load_operators(card, {})]
    for shape, block in shapes:
        candidate_labels(operators, shape, block=block)
    assert set(devices) == {"meta"}


def test_what_cannot_be_built_is_said_as_by_building() -> None:
    shape = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))
    wrong = Operator(label="wrong", builder=lambda _shape: nn.Conv2d(8, 9, 1), parameters={})
    failing = Operator(label="failing", builder=lambda _shape: nn.Conv2d(7, 8, 1), parameters={})
    silent = Operator(label="silent", builder=lambda _shape: None, parameters={})
    saying = Operator(label="saying", builder=lambda _shape: Misfit("it is Monday"), parameters={})
    plain = Operator(label="plain", builder=lambda _shape: nn.Conv2d(8, 8, 1), parameters={})
    found = misfits([wrong, failing, silent, saying, plain], shape)
    assert found["wrong"] == Misfit("it gives 9 x 6 x 6, and the block gives 8 x 6 x 6")
    failed = found["failing"]
    assert failed is not None
    assert failed.broken
    assert failed.reason.startswith("operator 'failing' cannot be built for block 'b'")
    assert found["silent"] == Misfit("its card says that it does not fit")
    assert found["saying"] == Misfit("it is Monday")
    assert found["plain"] is None
    assert candidate_labels([wrong, failing, silent, saying, plain], shape) == ("plain",)


PYTHON_CARD = """
import copy

import torch
from torch import nn

LABEL = "halved_{times}"
DEFAULTS = {"times": [1, 2]}


def build(shape, *, block, times):
    convolutions = [module for module in block.modules() if isinstance(module, nn.Conv2d)]
    if not convolutions or float(convolutions[0].weight.detach().abs().max()) == 0.0:
        return None
    halved = copy.deepcopy(block)
    with torch.no_grad():
        for parameter in halved.parameters():
            parameter.mul_(0.5**times)
    return halved
"""

SHAPE = BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6))


@pytest.fixture
def card(tmp_path: Path) -> str:
    path = tmp_path / "halved.py"
    path.write_text(PYTHON_CARD)
    return str(path)


def test_a_python_card_is_given_the_teachers_block(card: str) -> None:
    block = nn.Sequential(inverted_residual(8, 8, kernel=3, expansion=2)).eval()
    once, twice = load_operators(card, {})
    assert (once.takes_block, load_operators("identity", {})[0].takes_block) == (True, False)
    made = build_candidate(twice, SHAPE, seed=0, block=block)
    assert made is not None
    for mine, own in zip(made.parameters(), block.parameters(), strict=True):
        assert torch.equal(mine, own / 4)
    assert build_candidate(once, SHAPE, seed=0) is None


def test_a_python_card_without_a_function_or_with_a_parameter_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text("LABEL, DEFAULTS, build = 'x', {}, 5\n")
    with pytest.raises(CardError, match=r"odd.py: build is no function, got 5"):
        load_operators(str(path), {})
    path.write_text("LABEL, DEFAULTS = 'x_{block}', {'block': [1]}\ndef build(shape, *, block): ...\n")
    with pytest.raises(CardError, match=r"odd.py: a parameter cannot be called 'block', which is the teacher's block"):
        load_operators(str(path), {})


def test_a_card_that_looks_at_values_is_built_to_learn_whether_it_fits(card: str) -> None:
    operators = load_operators(card, {})
    block = nn.Sequential(nn.Conv2d(8, 8, 1)).eval()
    assert candidate_labels(operators, SHAPE, block=block) == ("halved_1", "halved_2")
    nn.init.zeros_(block[0].weight)
    assert candidate_labels(operators, SHAPE, block=block) == ()


class _Contract(OperatorContract):
    """Blocks of a segmenter that every card fits one of."""

    name: str

    def make_operators(self) -> Sequence[Operator]:
        return load_operators(self.name, {})

    def make_blocks(self) -> Sequence[tuple[BlockShape, nn.Module]]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return blocks_of(segmenter)


class TestInvertedResidual(_Contract):
    name = "inverted_residual"

    def make_operators(self) -> Sequence[Operator]:
        return load_operators(self.name, {"kernel": [3], "expansion": [2], "depth": [1, 2]})


class TestPruned(_Contract):
    name = "pruned"


class TestLowRank(_Contract):
    name = "low_rank"


class TestSeparablePyramid(_Contract):
    name = "separable_pyramid"
