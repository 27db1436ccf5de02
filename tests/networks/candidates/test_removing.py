import copy

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import build_candidate, load_operators, misfits
from evo_qnas.networks.candidates.removing import (
    attentions,
    layers_with_shortcut,
    without_attention,
    without_layers,
)
from evo_qnas.networks.models.layers import inverted_residual
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize

TOKENS = (6, 16)


class Attention(nn.Module):
    """Self-attention of two heads."""

    def __init__(self, *, fused: bool = True) -> None:
        super().__init__()
        self.qkv, self.out, self.fused = nn.Linear(16, 48), nn.Linear(16, 16), fused

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        n, t, c = x.shape
        query, key, value = self.qkv(x).view(n, t, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        else:
            mixed = torch.softmax(query @ key.transpose(-1, -2) * 8**-0.5, -1) @ value
        y: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(n, t, c))
        return y


class Encoder(nn.Module):
    """A layer of a vision transformer, which gives its attention a mask that is none."""

    def __init__(self, *, fused: bool = True) -> None:
        super().__init__()
        self.first, self.second, self.attention = nn.LayerNorm(16), nn.LayerNorm(16), Attention(fused=fused)
        self.masks = fused
        self.perceptron = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + (self.attention(self.first(x), mask=None) if self.masks else self.attention(self.first(x)))
        total: torch.Tensor = x + self.perceptron(self.second(x))
        return total


def tokens(count: int = 3) -> torch.Tensor:
    return torch.randn(count, *TOKENS, generator=torch.Generator().manual_seed(0))


def stage() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [inverted_residual(8, 12, kernel=3, expansion=2, stride=2)]
        layers += [inverted_residual(12, 12, kernel=3, expansion=2) for _ in range(2)]
    return nn.Sequential(*layers).eval()


def test_layers_that_add_to_their_own_input_are_found() -> None:
    assert layers_with_shortcut(stage(), (8, 6, 6)) == ("1", "2")
    assert layers_with_shortcut(nn.Sequential(Encoder(), Encoder()).eval(), TOKENS) == ("0", "1")
    plain = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
    assert layers_with_shortcut(plain, (8, 6, 6)) == ()
    assert layers_with_shortcut(stage(), (9, 6, 6)) == (), "a block that does not take such an input"


def test_the_last_of_them_go() -> None:
    block = stage()
    maps = torch.randn(2, 8, 6, 6)
    before = copy.deepcopy(block.state_dict())
    shorter = without_layers(block, 1, (8, 6, 6))
    assert shorter is not None
    assert torch.equal(shorter(maps), block[1](block[0](maps)))
    shortest = without_layers(block, 2, (8, 6, 6))
    assert shortest is not None
    assert torch.equal(shortest(maps), block[0](maps))
    assert without_layers(block, 3, (8, 6, 6)) is None
    assert without_layers(nn.Sequential(block[1]), 1, (12, 3, 3)) is None, "nothing would be left"
    assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())


@pytest.mark.parametrize("fused", [False, True])
def test_attention_gives_way(fused: bool) -> None:
    block = Encoder(fused=fused).eval()
    assert attentions(block, TOKENS) == ("attention",)
    none = without_attention(block, "none", TOKENS)
    assert none is not None
    x = tokens()
    assert torch.equal(none(x), x + block.perceptron(block.second(x)))
    for replacement, linear in (("linear", 1), ("mean", 2)):
        made = without_attention(block, replacement, TOKENS)
        assert made is not None
        assert torch.equal(made(x), none(x)), "it begins as nothing"
        extra = sum(p.numel() for p in made.parameters()) - sum(p.numel() for p in none.parameters())
        assert extra == linear * 256 + 16
        made.train()(x).square().sum().backward()
        grown = block_of(made, "attention").get_submodule("own").weight.grad
        assert isinstance(grown, torch.Tensor)
        assert bool(grown.abs().sum() > 0)
    with pytest.raises(NetworkError, match=r"replaced by one of none, linear, mean, got 'window'"):
        without_attention(block, "window", TOKENS)


@torch.no_grad()
def test_the_mean_of_all_tokens_reaches_each() -> None:
    made = without_attention(Encoder().eval(), "mean", TOKENS)
    assert made is not None
    layer = block_of(made, "attention").get_submodule("all")
    assert isinstance(layer, nn.Linear)
    nn.init.eye_(layer.weight)
    x = tokens(1)
    moved = x.clone()
    moved[0, 5] += 1.0
    own = block_of(made, "attention")(moved) - block_of(made, "attention")(x)
    assert torch.allclose(own, torch.full_like(own, 1 / 6), atol=1e-6)


@pytest.mark.parametrize("batch_first", [False, True])
def test_torchs_own_encoder_layer_is_narrowed_too(batch_first: bool) -> None:
    shape = TOKENS if batch_first else (6, 16)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=batch_first, dropout=0.0).eval()
    assert attentions(layer, shape) == ("self_attn",)
    none = without_attention(layer, "none", shape)
    assert none is not None
    x = tokens()
    with torch.no_grad():
        y = layer.norm1(x)
        wanted = layer.norm2(y + layer.linear2(torch.relu(layer.linear1(y))))
        assert torch.allclose(none(x), wanted, atol=1e-5)
        mean = without_attention(layer, "mean", shape)
        assert mean is not None
        assert mean(x).shape == x.shape


def test_cards_offer_what_fits() -> None:
    shape = BlockShape(name="b", inputs=TOKENS, outputs=TOKENS, channel_axis=2)
    for card in ("attention_none", "attention_linear", "attention_mean"):
        (operator,) = load_operators(card, {})
        made = build_candidate(operator, shape, seed=0, block=Encoder())
        assert made is not None
        network = quantize(made, tokens(), Policy(fixed=Bits(weight=8, activation=8)))
        network.calibrate([tokens()])
        with torch.no_grad():
            wanted = made(tokens())
            assert 0.0 < float((network(tokens()) - wanted).norm() / wanted.norm()) < 0.05
        (reason,) = misfits([operator], shape, block=nn.Sequential(nn.Linear(16, 16))).values()
        assert reason is not None
        assert reason.reason == "the block has no attention of one tensor in and one of the same shape out"
    one, two = load_operators("fewer_layers", {})
    assert (one.label, two.label) == ("without_1", "without_2")
    found = misfits([one, two], shape, block=nn.Sequential(nn.Linear(16, 16), Encoder(), nn.LayerNorm(16)))
    assert found["without_1"] is None
    assert found["without_2"] is not None
    assert found["without_2"].reason.startswith("2 of its layers would go, and 1 can")
    (none,) = load_operators("fewer_layers", {"drop": [0]})
    with pytest.raises(NetworkError, match="drop is a number of layers of at least 1, got 0"):
        build_candidate(none, shape, seed=0, block=Encoder())
