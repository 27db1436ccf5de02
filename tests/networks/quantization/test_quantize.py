import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, capture
from evo_qnas.networks.quantization.costs import costs_of, layer_bytes
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.scoring.local import fixed_costs

BLOCKS = ["stages.0", "stages.1"]
EIGHT = Bits(weight=8, activation=8)


def policy(weight: int, activation: int) -> Policy:
    return Policy(fixed=EIGHT, blocks={name: Bits(weight=weight, activation=activation) for name in BLOCKS})


def calibrated(teacher: nn.Module, images: torch.Tensor, weight: int, activation: int) -> QuantizedNetwork:
    network = quantize(teacher, images[:2], policy(weight, activation))
    network.calibrate([images])
    return network


def noise(network: nn.Module, teacher: nn.Module, images: torch.Tensor) -> float:
    with torch.no_grad():
        wanted = teacher(images)
        return float(((network(images) - wanted) ** 2).mean() / wanted.var())


def test_capturing_folds_batch_norm_and_keeps_the_output(teacher: nn.Module, images: torch.Tensor) -> None:
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    graph = capture(teacher, images[:2])
    assert torch.allclose(graph(images), teacher(images), atol=1e-5)
    assert not [node for node in graph.graph.nodes if "batch_norm" in str(node.target) and node.op == "call_function"]
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_one_image_is_enough_to_capture(teacher: nn.Module, images: torch.Tensor) -> None:
    assert torch.allclose(capture(teacher, images[:1])(images), teacher(images), atol=1e-5)


def test_noise_falls_with_bits(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, 8, 8)

    def noise_at(weight: int, activation: int) -> float:
        network.set_bits(Bits(weight=weight, activation=activation))
        network.calibrate([images])
        return noise(network, teacher, images)

    by_weight = [noise_at(bits, 8) for bits in (2, 4, 8)]
    assert by_weight[0] > by_weight[1] > by_weight[2]
    assert by_weight[2] < 1e-3
    by_activation = [noise_at(8, bits) for bits in (4, 6, 8)]
    assert by_activation[0] > by_activation[1] > by_activation[2]


def test_each_block_gets_its_bits_and_the_rest_the_fixed_ones(teacher: nn.Module, images: torch.Tensor) -> None:
    network = quantize(teacher, images[:2], Policy(fixed=EIGHT, blocks={"stages.1": Bits(weight=3, activation=5)}))
    assert {(layer.block, layer.bits) for layer in network.layers} == {("", 8), ("stages.1", 3)}
    assert {(q.block, q.bits) for q in network.quantizers} == {("", 8), ("stages.1", 5)}
    names = {layer.name for layer in network.layers if layer.block == "stages.1"}
    # Two inverted residuals of three convolutions each.
    assert len(names) == 6


def test_every_layer_is_rebuilt_from_its_stored_integers(teacher: nn.Module, images: torch.Tensor) -> None:
    """Integer convolution in float64 on codes, int32 bias, one multiplication per channel, against the layer."""
    network = calibrated(teacher, images, 4, 6)
    stored = network.stored()
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}

    def note(layer: QuantizedLayer) -> None:
        layer.register_forward_hook(lambda _m, taken, given: seen.__setitem__(layer.name, (taken[0], given)))

    for layer in network.layers:
        note(layer)
    with torch.no_grad():
        network(images)
        for layer in network.layers:
            taken, given = seen[layer.name]
            source = layer.source[0]
            codes = torch.round(taken.double() / source.scale().double())
            assert torch.allclose(codes * source.scale().double(), taken.double(), atol=1e-6)
            assert (codes + source.zero_point).min() >= 0
            assert (codes + source.zero_point).max() <= 2**source.bits - 1
            weight = layer.weight_codes().double()
            bias = None if layer.bias is None else stored[f"{layer.name}.bias"].double()
            integers = layer.operation(codes, weight, bias, *layer.arguments)
            assert torch.equal(integers, integers.round())
            shape = (1, -1, 1, 1) if integers.ndim == 4 else (1, -1)
            rebuilt = integers * layer.bias_scale().double().view(shape)
            assert torch.allclose(rebuilt, given.double(), rtol=1e-4, atol=1e-4)


def test_what_is_stored_restores_the_same_network(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, 3, 5)
    network.layers[0].scale.theta.data += 0.05
    copy = quantize(teacher, images[:2], policy(3, 5))
    copy.restore(network.stored())
    assert torch.equal(copy(images), network(images))
    assert all(not t.is_floating_point() or t.dtype == torch.float32 for t in network.stored().values())


def test_restoring_foreign_weights_is_refused(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, 3, 5)
    stored = network.stored()
    del stored[f"{network.layers[1].name}.codes"]
    with pytest.raises(NetworkError, match="stored weights do not fit"):
        quantize(teacher, images[:2], policy(3, 5)).restore(stored)


def test_the_size_of_a_network_is_what_it_stores(teacher: nn.Module, images: torch.Tensor) -> None:
    for weight in (2, 3, 8):
        network = calibrated(teacher, images, weight, 8)
        stored = sum(tensor.numel() * tensor.element_size() for tensor in network.stored().values())
        assert costs_of(network, 8).size_bytes == stored


def test_costs_of_blocks_and_fixed_part_add_up(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, 4, 6)
    whole = costs_of(network, 6)
    fixed = fixed_costs(teacher, images[:2], BLOCKS, EIGHT)
    parts = []
    for name in BLOCKS:
        shape = {"stages.0": (8, 8, 8), "stages.1": (8, 8, 8)}[name]
        block = quantize(
            teacher.get_submodule(name), torch.zeros(2, *shape), Policy(fixed=Bits(weight=4, activation=6))
        )
        parts.append(costs_of(block, 6, image=False))
    assert fixed.size_bytes + sum(part.size_bytes for part in parts) == whole.size_bytes
    assert fixed.macs + sum(part.macs for part in parts) == whole.macs


def test_costs_of_one_layer_by_hand() -> None:
    """Depthwise 3 x 3 on 6 channels of 4 x 4 at 3 bits: 54 codes take 21 bytes, 6 scales and 6 biases 48."""
    module = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6))
    network = quantize(module, torch.zeros(2, 6, 4, 4), Policy(fixed=Bits(weight=3, activation=5)))
    assert layer_bytes(network.layers[0]) == 21 + 24 + 24
    assert network.layers[0].macs == 9 * 6 * 16
    costs = costs_of(network, 5, image=False)
    assert costs.bit_operations == 9 * 6 * 16 * 3 * 5
    assert costs.size_bytes == 69 + 5


def test_a_relu_shares_the_quantizer_of_its_convolution() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Conv2d(3, 2, 1), nn.ReLU6(inplace=True), nn.MaxPool2d(2))
    network = quantize(module, torch.zeros(2, 2, 4, 4), Policy(fixed=EIGHT))
    assert len(network.quantizers) == 3
    network.calibrate([torch.randn(16, 2, 4, 4, generator=torch.Generator().manual_seed(0))])
    assert [float(q.zero_point) for q in network.quantizers[1:]] == [0.0, 0.0]


class _Forks(nn.Module):
    """The output of a convolution is read twice, once through a ReLU: both must see quantized values."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        return self.second(torch.relu(y)) + y


def test_an_output_that_is_read_twice_is_quantized_before_both() -> None:
    network = quantize(_Forks(), torch.zeros(2, 2, 4, 4), Policy(fixed=EIGHT))
    # image, first, relu, second, sum
    assert len(network.quantizers) == 5
    network.calibrate([torch.randn(16, 2, 4, 4, generator=torch.Generator().manual_seed(0))])


class _Derived(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, self.weight * 2)


def test_weights_derived_from_parameters_are_folded() -> None:
    network = quantize(_Derived(), torch.zeros(2, 2, 4, 4), Policy(fixed=EIGHT))
    assert torch.equal(network.layers[0].weight, torch.full((2, 2, 1, 1), 2.0))
    assert not network.float_parts


class _OfInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(x, x.mean(dim=(0, 2, 3)).view(1, 2, 1, 1))


def test_weights_that_depend_on_the_input_are_no_layer() -> None:
    """An operation of two activations, each with its quantizer."""
    network = quantize(_OfInput(), torch.zeros(2, 2, 4, 4), Policy(fixed=EIGHT))
    assert not network.layers
    assert [quantizer.name for quantizer in network.quantizers] == ["image", "mean", "conv2d"]


class _Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


def test_a_network_that_cannot_be_captured_gets_one_sentence() -> None:
    with pytest.raises(NetworkError, match="cannot capture _Branches"):
        capture(_Branches(), torch.zeros(2, 2))


def test_gradients_reach_weights_biases_and_all_steps(teacher: nn.Module, images: torch.Tensor) -> None:
    network = calibrated(teacher, images, 3, 4)
    network(images).square().mean().backward()
    for layer in network.layers:
        assert float(layer.weight.grad.abs().sum()) > 0
        assert float(layer.scale.theta.grad.abs().sum()) > 0
        assert layer.bias is None or float(layer.bias.grad.abs().sum()) > 0
    assert all(float(q.scale.theta.grad.abs().sum()) > 0 for q in network.quantizers[1:])


def test_fused_activations_give_what_the_graph_gives(teacher: nn.Module, images: torch.Tensor) -> None:
    """The graph that is exported has its ReLU6 nodes; the one that runs leaves them to the quantizers."""
    network = calibrated(teacher, images, 4, 6)
    assert [node for node in network.graph.graph.nodes if node.target in ACTIVATIONS]
    assert any(quantizer.limits == (0.0, 6.0) for quantizer in network.quantizers)
    with torch.no_grad():
        assert torch.equal(network(images), network.graph(images))
    learned = [layer.weight for layer in network.layers] + [q.scale.theta for q in network.quantizers[1:]]
    first = torch.autograd.grad(network(images).square().mean(), learned)
    second = torch.autograd.grad(network.graph(images).square().mean(), learned)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(first, second, strict=True))
