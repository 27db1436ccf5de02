import pytest
import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import assemble, find_blocks
from evo_qnas.networks.training.distill import block_features


def test_shapes_are_found_by_running_the_teacher(teacher: nn.Module, images: torch.Tensor) -> None:
    first, second = find_blocks(teacher, ["stages.0", "stages.1"], images[:2])
    assert (first.inputs, first.outputs, first.stride) == ((8, 8, 8), (8, 8, 8), 1)
    assert (second.inputs, second.outputs, second.stride) == ((8, 8, 8), (12, 4, 4), 2)


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["stage.1"], r"no submodule 'stage.1'; the nearest are: .*stages\.1"),
        (["stages.0", "stages.0"], "named twice"),
        (["stages", "stages.1"], "'stages.1' lies inside block 'stages'"),
        ([], "blocks.names is empty"),
    ],
)
def test_wrong_names_are_refused(teacher: nn.Module, images: torch.Tensor, names: list[str], match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        find_blocks(teacher, names, images[:2])


class _Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice, self.never, self.pair = nn.Identity(), nn.Identity(), _Pair()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.twice(self.twice(x)) + self.pair(x, x)


class _Pair(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


@pytest.mark.parametrize(
    ("name", "match"),
    [("twice", "more than once"), ("never", "never called"), ("pair", "take one tensor and give one")],
)
def test_submodules_that_are_no_blocks_are_refused(name: str, match: str) -> None:
    with pytest.raises(NetworkError, match=match):
        find_blocks(_Odd(), [name], torch.zeros(2, 3))


def test_assembling_replaces_copies_and_changes_nothing_else(teacher: nn.Module, images: torch.Tensor) -> None:
    wanted = teacher(images)
    other = nn.Conv2d(8, 8, 1)
    network = assemble(teacher, {"stages.0": other})
    assert torch.equal(teacher(images), wanted)
    assert not torch.equal(network(images), wanted)
    assert network.get_submodule("stages.0") is not other
    assert torch.equal(assemble(teacher, {"stages.0": teacher.get_submodule("stages.0")})(images), wanted)
    with pytest.raises(NetworkError, match=r"no submodule 'stages\.9\.x'"):
        assemble(teacher, {"stages.9.x": other})


def test_features_are_what_goes_through_the_block(teacher: nn.Module, images: torch.Tensor) -> None:
    taken, given = block_features(teacher, "stages.1", images)
    assert torch.allclose(teacher.get_submodule("stages.1")(taken), given)
    assert torch.allclose(teacher.head(given), teacher(images), atol=1e-6)
