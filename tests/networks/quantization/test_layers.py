"""Layers of every kind with integer weights, BatchNorm everywhere, and weights that several calls share."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.orientation import inputs_first, outputs_first
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.training.optimizers import learnable

EIGHT = Bits(weight=8, activation=8)


def made(module: nn.Module, *inputs: torch.Tensor, most: float = 0.03) -> QuantizedNetwork:
    """A calibrated network that is near its float one, counts what it stores, comes back, learns, and runs in integers.

    `most` is the largest error as a share of the largest value.
    """
    torch.manual_seed(0)
    network = quantize(module.eval(), tuple(inputs), Policy(fixed=EIGHT))
    network.calibrate([tuple(inputs)])
    given = pytree.tree_leaves(network(*inputs))
    wanted = pytree.tree_leaves(module(*inputs))
    for leaf, target in zip(given, wanted, strict=True):
        assert float((leaf - target).detach().abs().max()) <= most * float(target.detach().abs().max())
    stored = network.stored()
    assert costs_of(network, 8).size_bytes == sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    other = quantize(module, tuple(inputs), Policy(fixed=EIGHT))
    other.restore(stored)
    for leaf, target in zip(pytree.tree_leaves(other(*inputs)), given, strict=True):
        assert torch.equal(leaf, target)
    sum(leaf.square().mean() for leaf in given).backward()
    weights, thetas = learnable([network])
    assert {id(part) for part in network.parameters()} == {id(part) for part in (*weights, *thetas)}
    assert all(weight.grad is not None for weight in weights)
    for leaf, target in zip(pytree.tree_leaves(InIntegers(network)(*inputs)), given, strict=True):
        assert float((leaf - target).detach().abs().max()) <= most * float(target.detach().abs().max())
    return network


def normal(module: Any) -> Any:
    """A BatchNorm with statistics of its own."""
    with torch.no_grad():
        module.running_mean.normal_()
        module.running_var.uniform_(0.5, 2.0)
        module.weight.uniform_(0.5, 1.5)
        module.bias.normal_()
    return module


@pytest.mark.parametrize(("groups", "count"), [(1, 1_008 - 880), (4, 32)])
def test_transposed_convolutions_have_integer_weights(groups: int, count: int) -> None:
    """`ConvTranspose2d(8, 4, 2, stride=2)`: 128 codes (32 in groups), 4 scales and biases, two activations."""
    layer = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=groups)
    network = made(layer, torch.randn(4, 8, 5, 5))
    (own,) = network.layers
    assert own.role is Role.TRANSPOSED_CONVOLUTION
    assert costs_of(network, 8).size_bytes == count + 4 * 8 + 2 * 5
    assert tuple(own.weight.shape) == (4, 8 // groups, 2, 2)
    assert own.macs == count * 25
    assert len(own.scale()) == 4


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose2d(8, 8, 3, stride=2, groups=4, padding=1, output_padding=1, dilation=2),
        nn.ConvTranspose1d(8, 4, 3, stride=2, groups=2),
        nn.Conv1d(8, 4, 4, padding="same"),
        nn.Conv1d(8, 4, 3, padding=1, padding_mode="circular"),
        nn.Conv1d(8, 4, 3, dilation=2, groups=2, padding=2, padding_mode="reflect"),
    ],
    ids=str,
)
def test_convolutions_of_any_settings(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer.reset_parameters()  # type: ignore[operator]  # those of the import depend on what was imported before
    maps = isinstance(layer, nn.ConvTranspose2d)
    network = made(layer, torch.randn(4, 8, 7, 7) if maps else torch.randn(4, 8, 9), most=0.05)
    assert len(network.layers) == 1
    assert not network.float_parts


def test_orientation_is_its_own_inverse() -> None:
    weight = torch.arange(8 * 3 * 2.0).view(8, 3, 2)
    assert torch.equal(inputs_first(outputs_first(weight, 4), 4), weight)
    grouped = outputs_first(weight, 4)
    assert tuple(grouped.shape) == (12, 2, 2)
    # Output channel 1 of group 2 from input channel 1 of that group.
    assert torch.equal(grouped[2 * 3 + 1, 1], weight[2 * 2 + 1, 1])


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.ConvTranspose2d(8, 4, 2, stride=2, groups=2), normal(nn.BatchNorm2d(4))),
        nn.Sequential(nn.Conv2d(8, 4, 1), normal(nn.BatchNorm2d(4)), nn.ReLU()),
        nn.Sequential(nn.ReLU(), normal(nn.BatchNorm2d(8)), nn.Conv2d(8, 4, 3, groups=2)),
        nn.Sequential(nn.Flatten(), nn.Linear(200, 6), normal(nn.BatchNorm1d(6))),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), normal(nn.BatchNorm1d(8)), nn.Linear(8, 5, bias=False)),
    ],
    ids=["transposed", "before", "behind", "linear", "linear behind"],
)
def test_batch_norm_folds_into_the_layer_beside_it(module: nn.Module) -> None:
    network = made(module, torch.randn(16, 8, 5, 5), most=0.04)
    assert not network.float_parts
    assert len(network.layers) == 1


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), normal(nn.BatchNorm2d(4))),
        nn.Sequential(nn.ReLU(), normal(nn.BatchNorm2d(8)), nn.Conv2d(8, 4, 3, padding=1)),
    ],
    ids=["relu", "padding"],
)
def test_batch_norm_elsewhere_is_a_factor_and_a_shift(module: nn.Module) -> None:
    network = made(module, torch.randn(16, 8, 5, 5), most=0.04)
    assert sorted(tuple(part.shape)[1:] for part in network.float_parts.values()) == [(1, 1), (1, 1)]
    assert all(isinstance(part, nn.Parameter) for part in network.float_parts.values())


class _Twice(nn.Module):
    """One convolution called twice; a BatchNorm behind one of the calls, or the same behind both."""

    def __init__(self, norms: int) -> None:
        super().__init__()
        self.conv, self.norm, self.norms = nn.Conv2d(4, 4, 3, padding=1), normal(nn.BatchNorm2d(4)), norms

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        y = self.norm(y) if self.norms == 2 else y
        y = self.conv(torch.relu(y))
        result: torch.Tensor = self.norm(y) if self.norms else y
        return result


@pytest.mark.parametrize("norms", [0, 1, 2])
def test_one_module_called_twice_is_one_tensor(norms: int) -> None:
    """144 codes and 4 scales once; a bias for each call, whose inputs have scales of their own."""
    network = made(_Twice(norms), torch.randn(16, 4, 6, 6), most=0.06)
    assert [layer.owner.name for layer in network.layers] == ["conv2d", "conv2d"]
    assert network.layers[0].weight is network.layers[1].weight
    stored = network.stored()
    assert [name for name in stored if name.endswith(".codes")] == ["conv2d.codes"]
    assert costs_of(network, 8).macs == 2 * 144 * 36
    assert len(network.float_parts) == (2 if norms == 1 else 0)
    network.layers[0].weight.data.mul_(0.5)
    assert torch.equal(network.layers[0].centred_codes(), network.layers[1].centred_codes())


class _SameInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x) + self.layer(x.flip(1))
        return result


def test_calls_on_the_same_codes_have_one_bias_too() -> None:
    network = made(_SameInput(), torch.randn(16, 4))
    (layer,) = network.layers
    assert (layer.calls, layer.macs) == (2, 32)
    assert [name for name in network.stored() if name.startswith("linear")] == [
        *("linear.codes", "linear.scale", "linear.bias")
    ]


class _Tied(nn.Module):
    """A text network whose head has the weights of its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.positions = nn.Embedding(50, 8), nn.Parameter(torch.randn(1, 6, 8))
        self.layer, self.head = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Linear(8, 50)
        self.head.weight = self.rows.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.layer(self.rows(ids) + self.positions))
        return result


def test_tied_weights_are_one_tensor_and_tokens_go_in_as_they_are() -> None:
    torch.manual_seed(0)
    network = made(_Tied(), torch.randint(0, 50, (8, 6)), most=0.08)
    first, *_, last = network.layers
    assert (first.role, last.role) == (Role.EMBEDDING, Role.LINEAR)
    assert last.owner is first
    assert network.inputs == 0
    assert [name for name in network.stored() if name.startswith("linear_4")] == ["linear_4.bias"]
    assert first.macs == 0


class _Recurrent(nn.Module):
    def __init__(self, inner: nn.RNNBase) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.inner(x)[0][:, -1])
        return result


@pytest.mark.slow
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_steps_of_a_recurrent_module_share_weights_and_quantizers(kind: Any) -> None:
    torch.manual_seed(0)
    short = made(_Recurrent(kind(16, 32, batch_first=True)), torch.randn(16, 3, 16), most=0.1)
    torch.manual_seed(0)
    long = quantize(_Recurrent(kind(16, 32, batch_first=True)), torch.randn(16, 9, 16), Policy(fixed=EIGHT))
    assert [layer.calls for layer in long.layers] == [1, 9, 1]
    assert len(long.quantizers) == len(short.quantizers)
    assert costs_of(long, 8).size_bytes == costs_of(short, 8).size_bytes
    gates = 3 if kind is nn.GRU else 4
    weights = gates * 32 * 16 + gates * 32 * 32 + 320
    assert costs_of(long, 8).size_bytes == weights + (2 * gates * 32 + 10) * 8 + len(long.quantizers) * 5 + sum(
        part.numel() * 4 for part in long.float_parts.values()
    )


@pytest.mark.parametrize(("kind", "count"), [(nn.RNN, 7), (nn.GRU, 15)])
def test_quantizers_of_a_recurrent_module_are_as_many_however_many_steps(kind: Any, count: int) -> None:
    module = kind(4, 4, batch_first=True).eval()
    for steps in (2, 5):
        network = quantize(module, torch.randn(2, steps, 4), Policy(fixed=EIGHT))
        assert (len(network.quantizers), len(network.layers)) == (count, 2)


class _Rows(nn.Module):
    """Rows of a table by number, times a number that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(7, 4)

    def forward(self, x: torch.Tensor, factor: float, unread: None) -> torch.Tensor:
        result: torch.Tensor = self.rows(x) * factor
        return result


def test_inputs_of_integers_and_what_is_no_tensor_have_no_quantizer() -> None:
    network = quantize(_Rows().eval(), (torch.arange(5), 2.0, None), Policy(fixed=EIGHT))
    assert [quantizer.name for quantizer in network.quantizers] == ["layer_embedding", "mul"]


class _Chunks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        first, second = self.conv(x).chunk(2, 1)
        return {"one": [first * second, first]}


def test_parts_of_a_split_tensor_keep_its_codes() -> None:
    network = made(_Chunks(), torch.randn(8, 3, 4, 4))
    assert [quantizer.name for quantizer in network.quantizers] == ["image", "layer_conv2d", "mul"]


def test_slopes_of_prelu_are_a_float_part() -> None:
    network = made(nn.Sequential(nn.Conv2d(3, 8, 1), nn.PReLU(8)), torch.randn(8, 3, 4, 4))
    assert {name: tuple(part.shape) for name, part in network.float_parts.items()} == {"float.1.weight": (8,)}


def test_a_static_network_runs_on_any_number_of_examples() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([self.layer(x[row : row + 1]) for row in range(len(x))])

    network = made(Loop(), torch.randn(5, 3))
    assert tuple(network.clone()(torch.randn(7, 3)).shape) == (7, 3)


def test_a_copy_shares_within_itself_alone() -> None:
    network = made(_Twice(0), torch.randn(8, 4, 6, 6), most=0.06)
    copied = network.clone()
    assert copied.layers[1].owner is copied.layers[0]
    assert copied.layers[1].weight is copied.layers[0].weight
    assert copied.layers[0].weight is not network.layers[0].weight
