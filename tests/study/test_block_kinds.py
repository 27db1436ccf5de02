"""Joined layers, and a block with constants and a container, through the whole method."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evo_qnas as eq
from tests.study.conftest import FAST, fitted, squared


class Mixer(nn.Module):
    """Takes a size and an option beside its tensor; gives a tuple with nothing else in it."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(8, 32, 1), nn.Conv2d(32, 8, 1)

    def forward(self, x: torch.Tensor, size: tuple[int, int], *, mask: None = None) -> tuple[torch.Tensor, None]:
        return x + self.narrow(torch.relu(self.wide(x))).view(-1, 8, *size), mask


class Network(nn.Module):
    """A stem, layers in a row, a block of another kind, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mixer = nn.Conv2d(3, 8, 3, padding=1), Mixer()
        widths = [8, 16, 8, 16, 8]
        pairs = pairwise(widths)
        self.features = nn.Sequential(
            *(layer for a, b in pairs for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU()))
        )
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed, _ = self.mixer(self.features(self.stem(x)), (x.shape[2], x.shape[3]), mask=None)
        found: torch.Tensor = self.head(mixed)
        return found


@pytest.fixture(scope="module")
def finished(images: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> eq.Study:
    targets = images.mean(dim=(1, 2, 3)) * 4.0 + 0.7
    torch.manual_seed(0)
    return eq.Study(
        fitted(Network(), images, targets, squared),
        train=(images, targets),
        metric=eq.metrics.root_mean_squared_error,
        loss=squared,
        blocks="auto",
        operators=[eq.operator("pruned", keep=50)],
        folder=tmp_path_factory.mktemp("kinds") / "run",
        **FAST,
    ).run("networks", jobs=1)


@pytest.mark.slow
def test_found_blocks_of_every_kind_have_candidates_and_scores(finished: eq.Study, images: torch.Tensor) -> None:
    assert finished.tables.names == ("features.0-3", "features.4-7", "mixer")
    for table in finished.tables.blocks:
        assert set(table.operators) == {"teacher", "pruned_50"}
    whole = next(network for network in finished.state.networks if network.id == "teacher_int8")
    assert whole.size_bytes > min(network.size_bytes for network in finished.state.networks)
    best = finished.best()
    assert torch.equal(eq.load_network(finished.folder, best.id)(images[:5]), best.module(images[:5]))


@pytest.mark.slow
def test_a_network_of_such_blocks_is_exported(finished: eq.Study, images: torch.Tensor, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    best = finished.best()
    assert best.export(tmp_path / "best.onnx").failures == ()
    session = onnxruntime.InferenceSession(str(tmp_path / "best.onnx"))
    (there,) = session.run(None, {session.get_inputs()[0].name: images[:5].numpy()})
    assert np.array_equal(there, best.module(images[:5]).numpy())
