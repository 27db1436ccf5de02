"""BatchNorm statistics of assembled networks: which are estimated, and when they are kept."""

import copy

import pytest
import torch
from torch import nn

from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm, estimate_where_it_helps
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.scoring.local import assemble_quantized


def stage(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


class OutOfOrder(nn.Module):
    """Its parts are registered in another order than they run in."""

    def __init__(self) -> None:
        super().__init__()
        self.last, self.middle, self.first = stage(8, 4), stage(8, 8), stage(3, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.last(self.middle(self.first(x)))
        return result


@pytest.fixture
def teacher() -> nn.Module:
    torch.manual_seed(0)
    network = OutOfOrder()
    for _ in range(20):
        network(torch.randn(8, 3, 8, 8))
    return network.eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def statistics(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items() if "running" in name}


def changed(network: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    now = statistics(network)
    return {name.split(".")[0] for name, value in before.items() if not torch.equal(value, now[name])}


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ((), {"first", "middle", "last"}),
        (("middle",), {"middle", "last"}),
        (("last",), {"last"}),
        (("last", "middle"), {"middle", "last"}),
        (("middle.1",), {"middle", "last"}),
    ],
)
def test_only_what_runs_behind_the_first_named_block_is_estimated(
    teacher: nn.Module, images: torch.Tensor, behind: tuple[str, ...], expected: set[str]
) -> None:
    before = statistics(teacher)
    estimate_batch_norm(teacher, images.split(8), behind=behind)
    assert changed(teacher, before) == expected
    assert not any(module.training for module in teacher.modules())
    assert all(m.momentum == 0.1 for m in teacher.modules() if isinstance(m, nn.BatchNorm2d))
    assert not any(m._forward_pre_hooks for m in teacher.modules())


def test_statistics_of_odd_images_are_not_kept(teacher: nn.Module, images: torch.Tensor) -> None:
    """The replacement is the teacher's own block: nothing can be nearer to the teacher than what is there."""
    network, odd = copy.deepcopy(teacher), images * 0.2 + 3.0
    before = statistics(network)
    assert not estimate_where_it_helps(network, teacher, odd.split(4), replaced=["middle"])
    assert changed(network, before) == set()


def test_statistics_that_take_out_a_shift_are_kept(teacher: nn.Module, images: torch.Tensor) -> None:
    network = copy.deepcopy(teacher)
    with torch.no_grad():
        network.get_submodule("middle.0").bias.add_(5.0)
    before = statistics(network)
    with torch.no_grad():
        error = (network(images[1::2]) - teacher(images[1::2])).square().sum()
    assert estimate_where_it_helps(network, teacher, images.split(4), replaced=["middle"])
    assert changed(network, before) == {"middle", "last"}
    with torch.no_grad():
        assert (network(images[1::2]) - teacher(images[1::2])).square().sum() < 0.5 * error


def test_kept_statistics_are_those_of_all_images(teacher: nn.Module, images: torch.Tensor) -> None:
    network = copy.deepcopy(teacher)
    with torch.no_grad():
        network.get_submodule("middle.0").bias.add_(5.0)
    expected = copy.deepcopy(network)
    estimate_batch_norm(expected, [images], behind=["middle"])
    assert estimate_where_it_helps(network, teacher, images.split(4), replaced=["middle"])
    assert changed(network, statistics(expected)) == set()


def test_a_network_without_batch_norm_stays(images: torch.Tensor) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert not estimate_where_it_helps(network, copy.deepcopy(network), [images], replaced=["0"])


def test_assembling_a_borrowed_teacher_leaves_the_statistics_that_are_better(
    teacher: nn.Module, images: torch.Tensor
) -> None:
    """A candidate that is the teacher's own block, and images unlike those that taught it."""
    eight, odd = Bits(weight=8, activation=8), images * 0.2 + 3.0
    candidates = {"middle": copy.deepcopy(teacher.get_submodule("middle"))}
    with torch.no_grad():
        wanted = teacher(odd)
    errors = {}
    for borrowed in (True, False):
        network = assemble_quantized(teacher, candidates, {"middle": eight}, eight, odd, borrowed=borrowed)
        with torch.no_grad():
            errors[borrowed] = float((network(odd) - wanted).square().mean() / wanted.var())
    assert errors[True] < 0.01
    assert errors[False] > 1.0
