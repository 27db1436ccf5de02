"""The integer reference: by hand, and bit for bit against ONNX Runtime."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from evo_qnas.networks.capture.operations.integers import Centred, Total
from evo_qnas.networks.export.onnx.sessions import open_session
from evo_qnas.networks.integer import modules
from evo_qnas.networks.integer.reference import InIntegers, run_in_integers
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from tests.networks.export.conftest import EIGHT, in_runtime, quantized, random_network, written


def set_by_hand(network: QuantizedNetwork, *ranges: tuple[float, int]) -> None:
    for quantizer, (step, zero) in zip(network.quantizers, ranges, strict=True):
        quantizer.scale.set(torch.tensor([step]))
        quantizer.zero_point = torch.tensor([float(zero)])


def one_weight(weight: float, bias: float) -> QuantizedNetwork:
    module = nn.Conv2d(1, 1, 1)
    network = quantized(module, torch.linspace(-1, 1, 64).reshape(4, 1, 4, 4))
    layer = network.layers[0]
    layer.weight.data.fill_(weight)
    layer.bias.data.fill_(bias)
    layer.scale.set(torch.tensor([0.5]))
    return network


def test_one_convolution_by_hand(tmp_path: Path) -> None:
    """Weight 3 x 0.5, input step 0.25, output step 0.5: x = 1 is code 4 + 10; sum 4 x 3 + 8 = 20, x 0.25 = code 5."""
    network = one_weight(1.5, 1.0)
    set_by_hand(network, (0.25, 10), (0.5, 7))
    given = run_in_integers(network, torch.ones(1, 1, 4, 4))
    assert torch.equal(given, torch.full((1, 1, 4, 4), 2.5))
    assert torch.equal(in_runtime(written(network, tmp_path), torch.ones(1, 1, 4, 4)), given)


def test_halves_are_rounded_to_even(tmp_path: Path) -> None:
    """Sums of 2, 6 and 10 times 0.25 are 0.5, 1.5 and 2.5, to even 0, 2 and 2; the zero point comes after rounding."""
    network = one_weight(1.0, 0.0)
    set_by_hand(network, (0.25, 3), (0.5, 5))
    pixels = torch.tensor([0.25, 0.75, 1.25, -0.25]).repeat(4).reshape(1, 1, 4, 4)
    given = run_in_integers(network, pixels)
    assert given[0, 0, 0].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert torch.equal(in_runtime(written(network, tmp_path), pixels), given)


def check_seed(seed: int, folder: Path) -> None:
    network, pixels = random_network(seed)
    wanted = run_in_integers(network, pixels)
    assert wanted.unique().numel() > 1
    assert torch.equal(in_runtime(written(network, folder), pixels), wanted)


@pytest.mark.parametrize("seed", range(6))
def test_onnx_runtime_gives_the_reference_bit_for_bit(seed: int, tmp_path: Path) -> None:
    check_seed(seed, tmp_path)


class _Chain(nn.Module):
    """A convolution's output is quantized at the end of its block, and anew after a ReLU behind the block."""

    def __init__(self, limit: nn.Module) -> None:
        super().__init__()
        self.first, self.limit, self.second = nn.Conv2d(2, 6, 3), limit, nn.Conv2d(6, 6, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.limit(self.first(x)))


@pytest.mark.parametrize("limit", [nn.ReLU(), nn.ReLU6(), nn.Hardtanh(-1.0, 0.5)], ids=["relu", "relu6", "hardtanh"])
@pytest.mark.parametrize("shift", [0.0, 9.0])
def test_codes_that_a_relu_quantizes_anew_are_rounded_twice(limit: nn.Module, shift: float, tmp_path: Path) -> None:
    """A runtime that merges the two roundings into one gives other codes; shifted values have the zero point 0."""
    sample = torch.randn(16, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        module = _Chain(limit)
    module.first.bias.data += shift
    network = quantized(module, sample, first=EIGHT)
    assert (float(network.quantizers[1].zero_point) == 0.0) == (shift > 0)
    assert torch.equal(in_runtime(written(network, tmp_path), sample), run_in_integers(network, sample))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 50))
def test_fifty_random_networks_of_mixed_bits_are_bit_equal(seed: int, tmp_path: Path) -> None:
    check_seed(seed, tmp_path)


def test_torch_stays_within_one_code_of_the_reference(teacher: nn.Module, images: torch.Tensor) -> None:
    network = quantized(teacher, images)
    with torch.no_grad():
        difference = (run_in_integers(network, images) - network(images)).abs()
    assert float(difference.max()) <= 1.001 * float(network.quantizers[-1].scale().detach())
    assert float((difference > 0).float().mean()) < 0.05


def test_an_operation_without_integer_kernel_is_computed_in_floats() -> None:
    """Hard-swish of the codes' floats, rounded by the quantizer behind it; no network stands in for its integers."""
    images = torch.randn(4, 2, 4, 4)
    network = quantized(nn.Sequential(nn.Conv2d(2, 3, 1), nn.Hardswish()), images)
    values = run_in_integers(quantized_first(network), images)
    with torch.no_grad():
        wanted = network.quantizers[-1](nn.functional.hardswish(values))
    assert torch.equal(run_in_integers(network, images), wanted)
    assert torch.equal(InIntegers(network)(images), wanted)


def quantized_first(network: QuantizedNetwork) -> QuantizedNetwork:
    """The network up to the quantizer before its last operation."""
    first = network.clone()
    nodes = list(first.graph.graph.nodes)
    nodes[-1].args = (nodes[-4],)
    first.graph.graph.eliminate_dead_code()
    return QuantizedNetwork(first.graph)


@pytest.mark.parametrize("seed", range(4))
def test_sums_in_float32_are_those_in_float64(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, pixels = random_network(seed)
    fast = run_in_integers(network, pixels)
    monkeypatch.setattr(modules, "_EXACT", 0)
    assert torch.equal(run_in_integers(network, pixels), fast)


def centred(codes: torch.Tensor, scale: float, zero: int) -> Centred:
    return Centred(integers=codes - zero, scale=np.float32(scale), zero=zero)


def adder(path: Path) -> Path:
    """One QLinearAdd of two maps of 65,536 codes; steps and zero points are inputs."""
    make, kinds = onnx.helper, onnx.TensorProto
    names = ["a", "sa", "za", "b", "sb", "zb", "so", "zo"]
    shapes = {"a": [65_536], "b": [65_536]}
    inputs = [
        make.make_tensor_value_info(name, kinds.FLOAT if name[0] == "s" else kinds.UINT8, shapes.get(name, []))
        for name in names
    ]
    node = make.make_node("QLinearAdd", names, ["o"], domain="com.microsoft")
    graph = make.make_graph([node], "add", inputs, [make.make_tensor_value_info("o", kinds.UINT8, [65_536])])
    opsets = [make.make_opsetid("", 21), make.make_opsetid("com.microsoft", 1)]
    onnx.save(make.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def test_every_sum_of_two_codes_is_the_runtimes(tmp_path: Path) -> None:
    """All pairs of codes under 150 random steps and zero points; another order of roundings fails here."""
    rng = np.random.default_rng(0)
    session = open_session(adder(tmp_path / "add.onnx"))
    first, second = (grid.ravel() for grid in np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2))
    for _ in range(150):
        one, two, out = rng.uniform(0.01, 0.1, 3).astype(np.float32)
        zeros = rng.integers(0, 256, 3)
        given = {"a": first, "sa": one, "b": second, "sb": two, "so": out}
        given |= dict(zip(("za", "zb", "zo"), zeros.astype(np.uint8), strict=True))
        wanted = session.run(None, {name: np.asarray(value) for name, value in given.items()})[0]
        left = centred(torch.from_numpy(first).float(), float(one), int(zeros[0]))
        right = centred(torch.from_numpy(second).float(), float(two), int(zeros[1]))
        codes = Total(left, right).codes(out, int(zeros[2]))
        assert np.array_equal(np.clip(codes, 0, 255).astype(np.uint8), wanted)
