"""What stays in float is counted, stored, restored, copied and learnt."""

import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.training.optimizers import learnable

EIGHT = Bits(weight=8, activation=8)


class _Scaled(nn.Module):
    """A convolution, a learned factor, a table of positions and a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3, padding=1))
        self.gamma = nn.Parameter(torch.full((4, 1, 1), 0.5))
        self.positions: torch.Tensor
        self.register_buffer("positions", torch.linspace(-1.0, 1.0, 16).view(4, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x) * self.gamma + self.positions[:, :4]
        return y + torch.arange(4).float() * 0.1


def make() -> tuple[nn.Module, QuantizedNetwork, torch.Tensor]:
    torch.manual_seed(0)
    module, x = _Scaled().eval(), torch.randn(8, 3, 4, 4)
    network = quantize(module, x[:2], Policy(fixed=EIGHT))
    network.calibrate([x])
    return module, network, x


def test_parametrizations_and_tables_are_folded_into_one_tensor_each() -> None:
    module, network, x = make()
    parts = network.float_parts
    assert {name: tuple(part.shape) for name, part in parts.items()} == {
        "float.gamma": (4, 1, 1),
        "float.folded_alias": (4, 4),
        "float.folded_mul_1": (4,),
    }
    assert [isinstance(part, nn.Parameter) for part in parts.values()] == [True, False, False]
    assert float((network(x) - module(x)).detach().abs().max()) < 0.05


def test_size_counts_what_is_stored() -> None:
    """108 codes, 4 scales and biases; 4 + 16 + 4 floats; five tensors of activations."""
    _, network, _ = make()
    stored = sum(tensor.numel() * tensor.element_size() for tensor in network.stored().values())
    assert costs_of(network, 8).size_bytes == stored == 108 + 32 + 4 * 24 + 5 * 5


def test_float_parts_come_back_and_are_copied() -> None:
    _, network, x = make()
    network.float_parts["float.gamma"].data.mul_(1.5)
    other = make()[1].clone()
    assert not torch.equal(other(x), network(x))
    other.restore(network.stored())
    assert torch.equal(other(x), network(x))
    other.float_parts["float.gamma"].data.zero_()
    assert float(network.float_parts["float.gamma"].detach().abs().min()) == 0.75


def test_foreign_float_parts_are_refused() -> None:
    _, network, _ = make()
    stored = network.stored() | {"float.gamma": torch.zeros(4)}
    with pytest.raises(NetworkError, match=r"a float part has the shape \(4,\)"):
        network.restore(stored)


def test_the_float_network_keeps_its_own() -> None:
    module, network, _ = make()
    network.float_parts["float.gamma"].data.zero_()
    assert float(module.gamma.detach().min()) == 0.5  # type: ignore[operator]  # a parameter


def test_float_parameters_learn() -> None:
    _, network, x = make()
    network(x).square().mean().backward()
    weights, _ = learnable([network])
    assert len(weights) == 3
    assert all(float(weight.grad.abs().sum()) > 0 for weight in weights if weight.grad is not None)
    assert all(weight.grad is not None for weight in weights)
