"""Blocks in floats: codes in and out and nothing rounded in between, parameters of 16 or 32 bits, costs that add up."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.live import examples_of
from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle import read_bundle, write_bundle
from evo_qnas.networks.export import export
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.floats import rounded_to_half
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.scoring.local import score_operator
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.training.optimizers import quantized_optimizer
from evo_qnas.study.inputs import reading_of

EIGHT, HALF, WHOLE = Bits(weight=8, activation=8), Bits(weight=16, activation=32), Bits(weight=32, activation=32)


class Parts(nn.Module):
    """A stem, a block and a head."""

    def __init__(self, stem: nn.Module, block: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.stem, self.block, self.head = stem, block, head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.block(self.stem(x)))
        return outputs


class Attention(nn.Module):
    """A norm, attention of two heads and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mixing = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        mixed: torch.Tensor = self.mixing(y, y, y, need_weights=False)[0]
        return x + mixed


def _maps(*block: nn.Module, values: int = 128) -> Parts:
    return Parts(
        nn.Conv2d(3, 8, 3, padding=1), nn.Sequential(*block), nn.Sequential(nn.Flatten(), nn.Linear(values, 4))
    )


# Blocks of every kind of layer: model, and shape of an example.
KINDS: dict[str, tuple[Parts, tuple[int, ...]]] = {
    "convolution": (_maps(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()), (3, 4, 4)),
    "depthwise": (
        _maps(
            *(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 8, 1)),
        ),
        (3, 4, 4),
    ),
    "transposed": (_maps(nn.ConvTranspose2d(8, 8, 2, 2), nn.ReLU6(), values=512), (3, 4, 4)),
    "pooling": (
        _maps(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.AvgPool2d(2), nn.Flatten(), values=8),
        (3, 4, 4),
    ),
    "three axes": (
        Parts(nn.Conv3d(2, 4, 1), nn.Conv3d(4, 4, 3, padding=1), nn.Sequential(nn.Flatten(), nn.Linear(256, 4))),
        (2, 4, 4, 4),
    ),
    "linear": (
        Parts(nn.Linear(6, 8), nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)), nn.Linear(8, 4)),
        (6,),
    ),
    "tokens": (
        Parts(nn.Linear(6, 8), Attention(), nn.Sequential(nn.Flatten(), nn.Linear(40, 4))),
        (5, 6),
    ),
}


def made(kind: str, bits: Bits) -> tuple[Parts, QuantizedNetwork, torch.Tensor]:
    model, shape = KINDS[kind]
    x = torch.randn(16, *shape, generator=torch.Generator().manual_seed(0))
    network = quantize(model.eval(), x[:2], Policy(fixed=EIGHT, blocks={"block": bits}))
    network.calibrate([x])
    return model, network, x


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_block_in_floats_computes_what_the_module_does_with_codes(kind: str) -> None:
    model, network, x = made(kind, WHOLE)
    assert not [layer.name for layer in network.layers if layer.block]
    (border,) = [quantizer for quantizer in network.quantizers if quantizer.block]
    assert border.bits == 8
    before = network.quantizers[network.quantizers.index(border) - 1]
    given: list[torch.Tensor] = []
    before.register_forward_hook(lambda _module, _inputs, outputs: given.append(outputs))
    border.register_forward_hook(lambda _module, inputs, outputs: given.extend([inputs[0], outputs]))
    network(x)
    codes, floats, rounded = given
    exact = model.block(codes)
    torch.testing.assert_close(border(exact).reshape(rounded.shape), rounded, atol=1e-5, rtol=0.0)
    # A ReLU at the end is the quantizer's own limit.
    torch.testing.assert_close(floats.clamp(*border.limits).reshape(exact.shape), exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_costs_of_a_block_alone_are_those_in_the_network(kind: str) -> None:
    model, _, x = made(kind, EIGHT)
    with torch.no_grad():
        features = model.stem(x)
    macs = {}
    for bits in (EIGHT, HALF, WHOLE):
        _, network, _ = made(kind, bits)
        alone = quantize(model.block, features[:2], Policy(fixed=bits))
        own = costs_of(network, bits.activation, block="block")
        assert costs_of(alone, bits.activation, image=False) == own
        stored = sum(tensor.numel() * tensor.element_size() for tensor in network.stored().values())
        assert costs_of(network, 8).size_bytes == stored
        macs[bits] = own.macs
        products = sum(product.macs for product in network.products if product.block and product.bits == (32, 32))
        if bits is HALF:  # what multiplies two activations has no weights
            assert own.bit_operations == 16 * 32 * (own.macs - products) + 32 * 32 * products
        if bits is WHOLE:
            assert own.bit_operations == 32 * 32 * own.macs
    assert len(set(macs.values())) == 1


def test_bytes_of_a_convolution_in_closed_form() -> None:
    """576 weights and 8 biases of 2 or 4 bytes, and the scale and zero point of what the block gives."""
    sizes = [costs_of(made("convolution", bits)[1], 8, block="block").size_bytes for bits in (EIGHT, HALF, WHOLE)]
    assert sizes == [576 + 8 * 4 + 8 * 4 + 5, 584 * 2 + 5, 584 * 4 + 5]


def labelled(x: torch.Tensor, folder: Path) -> Examples:
    return examples_of((x, torch.zeros(len(x), dtype=torch.int64)), reading_of(None, "auto"), folder=folder)


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_files_keep_a_block_in_floats(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    _, network, x = made(kind, WHOLE)
    images = labelled(x, tmp_path)
    entry = export(network, tmp_path / "network.onnx", images=images, task=Classification(), latency=False)
    assert entry["failures"] == []
    assert entry["packed_bytes"] == costs_of(network, 8).size_bytes
    # ONNX Runtime gives codes to the weights of layers between codes, by its own: they must stay floats.
    assert entry["floats"]["one_off"] < 0.02
    assert entry["floats"]["float_macs"] > 0.0


def test_parameters_of_16_bits_are_16_bits_wide_in_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    _, network, x = made("convolution", HALF)
    path = tmp_path / "network.onnx"
    entry = export(network, path, images=labelled(x, tmp_path), task=Classification(), latency=False)
    assert entry["failures"] == []
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(path).graph.initializer}
    wide = {name: kind for name, kind in kinds.items() if name.startswith("float.")}
    assert wide == dict.fromkeys(["float.block.0.weight", "float.block.0.bias"], onnx.TensorProto.FLOAT16)


@pytest.mark.parametrize("bits", [HALF, WHOLE], ids=["16", "32"])
def test_bundles_hold_a_block_in_floats(bits: Bits, tmp_path: Path) -> None:
    _, network, x = made("tokens", bits)
    save_weights(network.stored(), tmp_path / "weights.safetensors", {"fingerprint": "f"})
    write_bundle(network, tmp_path, fingerprint="f")
    read = read_bundle(tmp_path)[0].eval()
    assert torch.equal(InIntegers(read)(x), InIntegers(network)(x))
    assert read.halves == network.halves
    assert bool(read.halves) is (bits is HALF)
    assert all(costs_of(read, 8, block=part) == costs_of(network, 8, block=part) for part in (None, "", "block"))


def test_parameters_learn_in_32_bits_and_are_rounded_at_the_end() -> None:
    _, network, x = made("convolution", HALF)
    weight = network.float_parts["float.block.0.weight"]
    assert torch.equal(weight, weight.half().float())
    optimizer, _ = quantized_optimizer([network], learning_rate=1e-3, step_learning_rate=1e-3, steps=1)
    network(x).square().mean().backward()
    optimizer.step()
    assert not torch.equal(weight, weight.half().float())
    network.round_halves()
    assert torch.equal(weight, weight.half().float())
    stored = network.stored()
    assert stored["float.block.0.weight"].dtype == torch.float16
    _, other, _ = made("convolution", HALF)
    other.restore(stored)
    assert torch.equal(other(x), network(x))
    with pytest.raises(NetworkError, match=r"do not fit this network: a float part"):
        other.restore({**stored, "float.block.0.weight": weight.detach()})


def test_values_beyond_16_bits_become_the_largest_of_them() -> None:
    rounded = rounded_to_half(torch.tensor([7e4, -math.inf, 1.0 + 2.0**-12, 6e-8, 1e-9]))
    assert rounded.tolist() == [65504.0, -65504.0, 1.0, 2.0**-24, 0.0]


def test_weights_that_a_block_of_other_bits_reads_too_keep_their_width() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
            self.other.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.other(self.one(x))

    x = torch.randn(4, 4)
    network = quantize(Tied().eval(), x, Policy(fixed=EIGHT, blocks={"one": HALF, "other": WHOLE}))
    assert network.halves == {"float.one.bias"}
    assert quantize(Tied().eval(), x, Policy(fixed=EIGHT, blocks=dict.fromkeys(["one", "other"], HALF))).halves == {
        *("float.one.weight", "float.one.bias", "float.other.bias")
    }


def test_scores_in_floats_come_last_and_are_those_of_the_codes_around_the_block() -> None:
    model, _, x = made("convolution", EIGHT)
    with torch.no_grad():
        features = model.stem(x)
        targets = model.block(features)
    scores = score_operator(
        "teacher",
        model.block,
        weight_bits=[2, 8],
        activation_bits=[8],
        calibration=features,
        inputs=features,
        targets=targets,
        variance=targets.var(dim=(0, 2, 3)),
        float_bits=[16, 32],
    )
    assert [(each.weight_bits, each.activation_bits) for each in scores] == [(2, 8), (8, 8), (16, 32), (32, 32)]
    two, eight, half, whole = (each.score for each in scores)
    assert two > eight > half > 0.0
    assert half == pytest.approx(whole, rel=0.1)


def test_kept_floats_of_the_fixed_part_stay_apart_from_blocks_in_floats() -> None:
    """Fixed costs add up: what the fixed part keeps gives codes to a block, be it in floats or not."""
    model, _, x = made("convolution", EIGHT)
    kept = Bits(weight=8, activation=8, keep_float=("stem",))
    costs = [
        costs_of(quantize(model, x[:2], Policy(fixed=kept, blocks={"block": bits})), 8, block="")
        for bits in (EIGHT, HALF)
    ]
    assert costs[0] == costs[1]
    assert costs[0].bit_operations == 32 * 32 * 3456 + 64 * 512, "3456 products of the stem in floats, 512 of the head"


@pytest.mark.parametrize(
    ("weight", "activation", "match"),
    [
        (16, 8, r"weight bits must be 2\.\.8, got 16"),
        (8, 32, r"activation bits must be 2\.\.8, got 32"),
        (24, 32, r"weight bits must be 2\.\.8, got 24"),
        (32, 16, r"weight bits must be 2\.\.8, got 32"),
    ],
)
def test_bits_that_are_none(weight: int, activation: int, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        Bits(weight=weight, activation=activation)


def test_layers_with_codes_do_not_become_floats() -> None:
    _, network, _ = made("convolution", EIGHT)
    with pytest.raises(NetworkError, match=r"layers with codes cannot become floats: quantize the network"):
        network.set_bits(HALF)
