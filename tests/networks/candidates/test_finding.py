"""Blocks that are found, the list of possible ones, and operators for blocks of every kind."""

import json
from collections.abc import Callable

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.cli import app
from evo_qnas.errors import CardError, NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.finding import auto_blocks
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits
from evo_qnas.networks.candidates.spans import with_blocks
from evo_qnas.networks.candidates.submodules import submodules
from evo_qnas.networks.models.layers import ChannelsSecond
from evo_qnas.networks.models.teachers import InvertedResidualClassifier

IMAGES = torch.zeros(2, 3, 16, 16)


def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs), nn.ReLU())


class Staged(nn.Module):
    """A stem, four stages in a list that is not called itself, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = layer(3, 8)
        self.stages = nn.ModuleList(nn.Sequential(layer(8, 8), layer(8, 8)) for _ in range(4))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        logits: torch.Tensor = self.head(x)
        return logits


class Wrapped(nn.Module):
    """The same in a wrapper that gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Staged()

    def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"logits": self.model(pixels)}


def uneven() -> nn.Module:
    """One stage has most of the multiplications."""
    heavy = nn.Sequential(*(layer(16, 16) for _ in range(3)))
    return nn.Sequential(layer(3, 4), layer(4, 4), layer(4, 16), heavy, layer(16, 4), nn.Flatten(), nn.Linear(1024, 2))


def plain() -> nn.Module:
    """Single layers alone."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Flatten(),
        nn.Linear(8 * 256, 2),
    )


def deep() -> nn.Module:
    """More layers than there may be blocks."""
    return nn.Sequential(layer(3, 8), *(layer(8, 8) for _ in range(20)), nn.Flatten(), nn.Linear(8 * 256, 2))


def filtered() -> nn.Module:
    """Filters for each channel beside one layer that mixes channels."""
    layers = [nn.Conv2d(8, 8, 7, padding=3, groups=8), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 7, padding=3, groups=8)]
    return nn.Sequential(nn.Conv2d(3, 8, 1), *layers, nn.Flatten(), nn.Linear(8 * 256, 2))


def bodied() -> nn.Module:
    """One stage: a layer that halves the map, and a body of blocks."""
    body = nn.Sequential(*(nn.Sequential(layer(8, 8), layer(8, 8)) for _ in range(3)))
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.AvgPool2d(2), body), nn.Flatten(), nn.Linear(512, 2))


class Chained(nn.Module):
    """A decoder of single layers after a stem; a norm before the first layer and what changes the axes are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        layers = [nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(1)]
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 1), nn.ReLU()]
        self.decoder = nn.Sequential(*layers, nn.Conv2d(8, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 256, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.decoder(self.stem(x))
        return found


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (Staged, [f"stages.{index}" for index in range(4)]),
        (Wrapped, [f"model.stages.{index}" for index in range(4)]),
        (uneven, ["1-2", "3", "4"]),
        (plain, ["2-6"]),
        (deep, [f"{index}-{index + 1}" for index in range(1, 21, 2)]),
        (Chained, ["decoder.0-3", "decoder.4-8"]),
        (filtered, ["1", "2", "3"]),  # a filter for each channel and one layer have no channels between them
        (bodied, ["1.1.0", "1.1.1", "1.1.2"]),
    ],
)
def test_blocks_are_found(make: Callable[[], nn.Module], names: list[str]) -> None:
    model = make().eval()
    assert list(auto_blocks(model, IMAGES)) == names
    cut = with_blocks(model, names, IMAGES)
    assert [shape.name for shape in find_blocks(cut, names, IMAGES)] == names


def test_stages_of_our_own_teacher_and_layers_of_a_transformer_are_found() -> None:
    stages = [{"channels": 8, "expansion": 2, "depth": 1, "stride": 1} for _ in range(3)]
    teacher = InvertedResidualClassifier(channels=1, classes=4, stem=8, stages=stages, head=16)
    assert auto_blocks(teacher, torch.zeros(2, 1, 8, 8)) == ("stages.0", "stages.1", "stages.2")
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 4)
    tokens = nn.Sequential(nn.Linear(8, 16), encoder, nn.Linear(16, 2))
    assert auto_blocks(tokens, torch.zeros(2, 5, 8)) == tuple(f"1.layers.{index}" for index in range(4))


def test_a_network_without_blocks_is_refused() -> None:
    with pytest.raises(NetworkError, match=r'blocks.names = "auto" finds no block in Linear'):
        auto_blocks(nn.Linear(3, 2), torch.zeros(2, 3))


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice, self.pair, self.both = nn.Linear(4, 4), nn.Bilinear(4, 4, 4), nn.LSTM(4, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.twice(self.twice(x))
        x = self.pair(x, x)
        found: torch.Tensor = self.both(x[:, None])[0][:, 0]
        return found


def test_what_cannot_be_a_block_says_why() -> None:
    found = {part.name: part.why_not for part in submodules(Odd(), torch.zeros(2, 4))}
    assert found == {
        "twice": "it is called 2 times in one run",
        "pair": "it takes 2 tensors",
        "both": "it gives 3 tensors",
    }


@pytest.mark.slow
def test_the_list_has_shapes_costs_and_reasons() -> None:
    found = eq.blocks(Staged(), IMAGES)
    rows = {row.name: row for row in found.rows}
    assert found.auto == ("stages.0", "stages.1", "stages.2", "stages.3")
    stage = rows["stages.1"]
    assert (stage.inputs, stage.outputs, stage.channel_axis) == ((8, 16, 16), (8, 16, 16), 1)
    # Two convolutions of 3 x 3 taps, 8 x 8 channels and 16 x 16 positions; biases and BatchNorm beside the weights.
    assert (stage.macs, stage.parameters) == (2 * 9 * 64 * 256, 2 * (9 * 64 + 8 + 16))
    assert sum(row.macs_share for name, row in rows.items() if name in {"stem", "head", *found.auto}) == pytest.approx(
        1
    )
    assert {"inverted_residual", "identity"} <= set(stage.fitting)
    assert stage.operators["pruned"] == "nothing of the block would go at keep = 50 in multiples of 8"
    assert rows["stem"].operators["identity"] == "the block gives another shape than it takes"
    frame = found.to_dataframe()
    assert list(frame["name"]) == list(rows)
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["name"] == "stem"


KINDS: dict[str, tuple[Callable[[], nn.Module], torch.Tensor, int]] = {
    "maps": (lambda: nn.Conv2d(8, 12, 3, (2, 1), 1), torch.zeros(2, 8, 9, 7), 1),
    "signals": (lambda: nn.Conv1d(8, 12, 5, 2, 2), torch.zeros(2, 8, 21), 1),
    "tokens": (lambda: nn.Linear(8, 12), torch.zeros(2, 5, 8), 2),
    "maps with channels last": (lambda: nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 12)), torch.zeros(2, 6, 5, 8), 3),
}


@pytest.mark.parametrize("kind", KINDS)
def test_operators_fit_blocks_of_every_kind(kind: str) -> None:
    make, inputs, axis = KINDS[kind]
    model = nn.Sequential(nn.Identity(), make())
    (shape,) = find_blocks(model, ["1"], inputs)
    assert shape.channel_axis == axis
    assert shape.channels == (8, 12)
    for card in ("inverted_residual", "fused_inverted_residual", "depthwise_separable"):
        module = build_candidate(load_operators(card, {})[0], shape, seed=0)
        assert module is not None
        assert tuple(module(inputs).shape[1:]) == shape.outputs
        assert isinstance(module, ChannelsSecond) == (axis > 1)
    if kind == "maps":
        assert (shape.strides, shape.stride) == ((2, 1), 2)


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ((8, 9, 9), (8, 7, 7), "no stride makes maps of 9 x 9 into 7 x 7"),
        ((8, 4, 4), (8, 8, 8), "no stride makes maps of 4 x 4 into 8 x 8"),
        ((8, 4, 4), (10,), "it takes maps, signals or tokens, and the block takes or gives something else"),
        ((16,), (16,), "it takes maps, signals or tokens, and the block takes or gives something else"),
    ],
)
def test_an_operator_says_why_it_does_not_fit_a_shape(
    inputs: tuple[int, ...], outputs: tuple[int, ...], reason: str
) -> None:
    shape = BlockShape(name="b", inputs=inputs, outputs=outputs)
    found = misfits(load_operators("inverted_residual", {}), shape)
    assert {misfit.reason for misfit in found.values() if misfit is not None} == {reason}


def test_the_command_lists_blocks_and_a_card_takes_those_that_are_found() -> None:
    small = ["teacher.parameters.stem=8", "teacher.parameters.head=16"]
    small += ['operators=[{card="identity"}]', "teacher.parameters.stages=[{channels=8,expansion=2,depth=1,stride=1}]"]
    options = [part for change in [*small, "blocks.names=auto"] for part in ("--set", change)]
    shown = CliRunner().invoke(app, ["blocks", "digits", *options])
    assert shown.exit_code == 0
    assert "operators: 1 identity" in shown.stdout
    assert "identity does not fit stem" in shown.stdout
    content = json.loads(CliRunner().invoke(app, ["blocks", "digits", *options, "--json"]).stdout)
    assert [row["name"] for row in content["rows"] if row["auto"]]


def test_the_command_says_which_operators_fit_the_blocks_of_a_card() -> None:
    small = ["teacher.parameters.stem=8", "teacher.parameters.head=16", "blocks.names=auto"]
    small += ["teacher.parameters.stages=[{channels=8,expansion=2,depth=1,stride=1}]"]
    options = [part for change in small for part in ("--set", change)]
    shown = CliRunner().invoke(app, ["list", "operators", "--for", "digits", *options])
    assert shown.exit_code == 0
    lines = [line.split(maxsplit=1) for line in shown.stdout.splitlines()]
    assert {"pruned", "attention_none", "fewer_layers", "factorised"} <= {line[0] for line in lines}
    assert ["attention_none", "fits no block"] in lines
    (fitting,) = (line[1] for line in lines if line[0] == "inverted_residual")
    assert fitting == "stages"
    assert "not stages: the block has no attention of one tensor in and one of the same shape out" in shown.stdout
    for wrong, reason in (
        (["runtimes", "--for", "digits"], "--for asks which operators fit a card, and runtimes are listed"),
        (["operators", "--set", "seed=1"], "--set changes the card of --for, which is missing"),
    ):
        with pytest.raises(CardError, match=rf"{reason}"):
            CliRunner().invoke(app, ["list", *wrong], catch_exceptions=False, standalone_mode=False)
