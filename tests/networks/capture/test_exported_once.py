"""The memory of the other tests: a program that comes from it is the one that torch would have made."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from evo_qnas.networks.capture.graph import capture
from tests.exported_once import ExportedOnce


class Net(nn.Module):
    """Convolution, BatchNorm, an activation, and an attribute that its forward reads."""

    def __init__(self, seed: int = 0, width: int = 4) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm = nn.Conv2d(3, width, 3), nn.BatchNorm2d(width)
        self.act: nn.Module = nn.ReLU()
        self.norm.running_mean = torch.randn(width)
        self.factor = 2.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.norm(self.conv(x))).mean((2, 3)) * self.factor


def factor(network: Net) -> None:
    network.factor = 3.0


def activation(network: Net) -> None:
    network.act = nn.ReLU6()


def stride(network: Net) -> None:
    network.conv.stride = (2, 2)


def tied(network: Net) -> None:
    network.norm.bias = network.norm.weight


@pytest.fixture
def memory(exported_anew: None, monkeypatch: pytest.MonkeyPatch) -> ExportedOnce:
    memory = ExportedOnce(torch.export.export)
    monkeypatch.setattr(torch.export, "export", memory)
    return memory


def test_a_remembered_program_has_the_weights_of_the_network(memory: ExportedOnce) -> None:
    batch = torch.randn(5, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    codes = set()
    for seed in (0, 1, 0):
        network = Net(seed).eval()
        graph, wanted = capture(network, batch[:2]), network(batch)
        torch.testing.assert_close(graph(batch), wanted)
        codes.add(graph.code)
    assert len(codes) == 1
    assert (memory.hits, memory.misses) == (2, 1)


@pytest.mark.parametrize("change", [factor, activation, stride, tied])
def test_another_structure_is_exported_itself(memory: ExportedOnce, change: Callable[[Net], None]) -> None:
    batch = torch.randn(5, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    plain, changed = Net().eval(), Net().eval()
    change(changed)
    for network in (plain, changed, plain, changed):
        torch.testing.assert_close(capture(network, batch[:2])(batch), network(batch))
    assert (memory.hits, memory.misses) == (2, 2)


def test_a_changed_module_is_another_structure(memory: ExportedOnce) -> None:
    """Sizes of the example and of layers count, values do not."""
    network = Net().eval()
    capture(network, torch.zeros(2, 3, 9, 9))
    capture(network, torch.ones(2, 3, 9, 9))
    assert (memory.hits, memory.misses) == (1, 1)
    capture(network, torch.zeros(2, 3, 8, 9))
    capture(Net(width=5).eval(), torch.zeros(2, 3, 9, 9))
    assert (memory.hits, memory.misses) == (1, 3)


def test_another_forward_of_the_same_class_is_another_structure(
    memory: ExportedOnce, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, batch = Net().eval(), torch.randn(5, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    before = capture(network, batch[:2])(batch)
    monkeypatch.setattr(Net, "forward", lambda self, x: self.conv(x).mean((2, 3)))
    torch.testing.assert_close(capture(network, batch[:2])(batch), network(batch))
    assert not torch.equal(before, network(batch))
