"""Blocks that take constants beside their tensor or give it in a container, as modules from tensor to tensor."""

from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import assemble, find_blocks, recording
from evo_qnas.networks.candidates.framing import Called, Frame, OneTensor, block_of, called, framed
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits
from evo_qnas.networks.candidates.removing import attentions, layers_with_shortcut, without_attention, without_layers
from evo_qnas.networks.candidates.spans import with_blocks
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

TOKENS = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))


class Given(NamedTuple):
    """What an attention gives."""

    hidden: torch.Tensor
    weights: None


class Attention(nn.Module):
    """Takes its tensor by name, beside a mask that is None; gives a named tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, *, hidden: torch.Tensor, mask: None) -> Given:
        query, key, value = self.qkv(hidden).chunk(3, -1)
        return Given(self.out(nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)), None)


class Layer(nn.Module):
    """Takes a size, positions of all examples, and options; gives a tuple of which one entry is a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.attention, self.wide, self.narrow = Attention(), nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(
        self, x: torch.Tensor, size: tuple[int, int], places: torch.Tensor, *, fast: bool = False
    ) -> tuple[None, torch.Tensor, tuple[int, int]]:
        x = x + self.attention(hidden=x, mask=None).hidden + places[..., None] * 0.01
        y = self.wide(x).view(len(x), *size, 32).flatten(1, 2)
        return None, x + self.narrow(torch.relu(y) if fast else nn.functional.gelu(y)), size


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(8, 8), nn.Linear(8, 2)
        self.layers = nn.ModuleList(Layer() for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        places = torch.arange(x.shape[1])[None]
        for layer in self.layers:
            _, x, size = layer(x, (2, 3), places, fast=True)
            assert size == (2, 3)
        logits: torch.Tensor = self.head(x.mean(1))
        return logits


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network().eval()


NAMES = ("layers.0", "layers.1")


def test_a_frame_changes_nothing_and_its_block_takes_one_tensor(network: nn.Module) -> None:
    made = with_blocks(network, NAMES, TOKENS)
    assert isinstance(made.get_submodule("layers.0"), Frame)
    assert not any(isinstance(part, Frame) for part in network.modules())
    assert torch.equal(made(TOKENS), network(TOKENS))
    with recording(network, NAMES) as before, torch.no_grad():
        network(TOKENS)
    with recording(made, NAMES) as after, torch.no_grad():
        made(TOKENS)
    for name in NAMES:
        assert torch.equal(before[name][0], after[name][0])
        assert torch.equal(block_of(made, name)(after[name][0]), after[name][1])
    assert find_blocks(made, NAMES, TOKENS) == find_blocks(network, NAMES, TOKENS)
    assert framed(network, ["stem"], TOKENS) is network


@torch.no_grad()
@pytest.mark.parametrize("card", ["pruned", "factorised", "attention_none", "identity"])
def test_candidates_stand_in_the_frame_and_are_quantized(network: nn.Module, card: str) -> None:
    made = with_blocks(network, NAMES, TOKENS)
    shape = find_blocks(made, NAMES, TOKENS)[1]
    operator = load_operators(card, {"keep": [25], "multiple": [2]} if card == "factorised" else {})[0]
    own = block_of(made, shape.name)
    assert misfits([operator], shape, block=own) == {operator.label: None}
    candidate = build_candidate(operator, shape, seed=0, block=own)
    assert candidate is not None
    assembled = assemble(made, {shape.name: candidate})
    assert isinstance(assembled.get_submodule(shape.name), Frame)
    with recording(made, [shape.name]) as recorded:
        made(TOKENS)
    wanted = made.get_submodule("head")(candidate(recorded[shape.name][0]).mean(1))
    assert torch.allclose(assembled(TOKENS), wanted, atol=1e-6)
    few = Bits(weight=4, activation=8)
    quantized = quantize(assembled, TOKENS[:2], Policy(fixed=Bits(weight=8, activation=8), blocks={shape.name: few}))
    quantized.calibrate([TOKENS])
    inside = [layer for layer in quantized.layers if layer.block == shape.name]
    assert all(layer.bits == 4 for layer in inside)
    assert len(inside) == {"pruned": 4, "factorised": 8, "attention_none": 2, "identity": 0}[card]


def test_attentions_that_take_and_give_more_are_found_and_replaced(network: nn.Module) -> None:
    block = block_of(with_blocks(network, NAMES, TOKENS), "layers.0")
    assert isinstance(block, OneTensor)
    assert attentions(block, (6, 8)) == ("module.attention",)
    for replacement in ("none", "linear", "mean"):
        made = without_attention(block, replacement, (6, 8))
        assert made is not None
        x = TOKENS + torch.arange(6)[None, :, None] * 0.01  # an attention that begins as nothing
        wide, narrow = (made.get_submodule(f"module.{name}") for name in ("wide", "narrow"))
        wanted = x + narrow(torch.relu(wide(x)))
        assert torch.allclose(made(TOKENS), wanted, atol=1e-6)
    assert layers_with_shortcut(block, (6, 8)) == ()  # the block is one such layer as a whole
    whole = nn.Sequential(block, block_of(with_blocks(network, NAMES, TOKENS), "layers.1"))
    assert layers_with_shortcut(whole, (6, 8)) == ("0", "1")
    assert without_layers(whole, 1, (6, 8)) is not None


def test_layers_with_constants_go_as_layers_do() -> None:
    class Stage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.rest = nn.Linear(8, 8), nn.ModuleList(Layer() for _ in range(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.first(x)
            for layer in self.rest:
                x = layer(x, (2, 3), torch.arange(6)[None])[1]
            return x

    stage = Stage().eval()
    assert layers_with_shortcut(stage, (6, 8)) == ("rest.0", "rest.1")
    shorter = without_layers(stage, 1, (6, 8))
    assert shorter is not None
    wanted = stage.rest[0](stage.first(TOKENS), (2, 3), torch.arange(6)[None])[1]
    assert torch.allclose(shorter(TOKENS), wanted)


@pytest.mark.parametrize(
    ("arguments", "output", "reason"),
    [
        ((TOKENS, TOKENS), TOKENS, "it takes 2 tensors"),
        ((), TOKENS, "it takes 0 tensors"),
        ((TOKENS, object()), TOKENS, "it takes a object beside its tensor"),
        ((TOKENS,), (TOKENS, TOKENS), "it gives 2 tensors"),
        ((TOKENS,), TOKENS.argmax(-1), "its tensors are no floats"),
        ((TOKENS, torch.arange(3)), TOKENS, "it takes 2 tensors"),  # a number for each example
    ],
)
def test_what_takes_or_gives_more_than_constants_is_no_block(
    arguments: tuple[Any, ...], output: Any, reason: str
) -> None:
    assert called(arguments, {}, output) == reason


def test_constants_are_known_by_their_type_and_axes() -> None:
    places = torch.arange(6)[None]
    found = called((TOKENS, None, (2, 3)), {"places": places, "fast": True}, {"hidden": TOKENS, "weights": None})
    assert isinstance(found, Called)
    assert not found.signature.is_plain
    plain = called((TOKENS,), {}, TOKENS)
    assert isinstance(plain, Called)
    assert plain.signature.is_plain


class Counting(nn.Module):
    """A block is told the number of examples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Told()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x, len(x))
        return found


class Told(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor, count: int) -> torch.Tensor:
        found: torch.Tensor = self.linear(x) / count
        return found


class Reading(nn.Module):
    """A network that reads an attribute of its block."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Layer()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x, (2, 3), torch.arange(6)[None])[1] + self.layer.narrow.bias
        return found


def test_what_depends_on_the_examples_or_is_read_otherwise_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"called with other arguments than those with which it was found"):
        with_blocks(Counting(), ["layer"], TOKENS)
    with pytest.raises(NetworkError, match=r"the network reads more of its blocks than what they give"):
        with_blocks(Reading(), ["layer"], TOKENS)
