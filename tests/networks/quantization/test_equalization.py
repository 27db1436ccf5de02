"""Cross-layer equalization: the same outputs, even ranges, and pairs that are left alone."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.capture.graph import capture
from evo_qnas.networks.quantization.equalization import equalize
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.recipe import Recipe

POLICY = Policy(fixed=Bits(weight=4, activation=8))


def uneven(*modules: nn.Module) -> nn.Sequential:
    """Layers whose channels have very different ranges."""
    torch.manual_seed(0)
    network = nn.Sequential(*modules).eval()
    with torch.no_grad():
        for module in network:
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(torch.logspace(-2, 1, len(module.weight)).view(-1, *[1] * (module.weight.ndim - 1)))
    return network


NETWORKS = {
    "depthwise": (
        2,
        lambda: uneven(
            *(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=6, bias=False)),
            *(nn.LeakyReLU(0.1), nn.Conv2d(6, 4, 1)),
        ),
    ),
    "grouped, nothing between": (1, lambda: uneven(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3, groups=2))),
    "linear": (1, lambda: uneven(nn.Flatten(), nn.Linear(108, 8), nn.ReLU(), nn.Linear(8, 4))),
    "relu6": (0, lambda: uneven(nn.Conv2d(3, 8, 3), nn.ReLU6(), nn.Conv2d(8, 4, 3))),
    "pooling": (0, lambda: uneven(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1))),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay(name: str) -> None:
    pairs, make = NETWORKS[name]
    network, x = make(), torch.randn(8, 3, 6, 6)
    graph = capture(network, x[:2])
    before = [parameter.detach().clone() for parameter in graph.parameters()]
    assert equalize(graph, POLICY) == pairs
    with torch.no_grad():
        wanted = network(x)
        assert torch.allclose(graph(x), wanted, atol=1e-4 * float(wanted.abs().max()))
    changed = any(not torch.equal(one, other) for one, other in zip(before, graph.parameters(), strict=False))
    assert changed == (pairs > 0)


def test_ranges_become_even() -> None:
    _, make = NETWORKS["linear"]
    x = torch.randn(8, 3, 6, 6)
    first, second = quantize(make(), x[:2], Policy(fixed=POLICY.fixed, recipe=Recipe(equalized=True))).layers
    assert torch.allclose(first.weight.abs().amax(dim=1), second.weight.abs().amax(dim=0), rtol=1e-4)


def test_shortcuts_and_shared_layers_are_left_alone() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.first(x)
            return self.third(self.second(y) + y) + self.third(x)

    assert equalize(capture(Branching().eval(), torch.zeros(2, 3, 4, 4)), POLICY) == 0


def test_pairs_of_two_blocks_are_left_alone() -> None:
    """Blocks are scored alone, and the assembled network must get the same weights."""
    network = uneven(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    graph = capture(network, torch.zeros(2, 3, 4, 4))
    assert equalize(graph, Policy(fixed=POLICY.fixed, blocks={"2": POLICY.fixed})) == 0
