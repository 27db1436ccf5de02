"""A layer and its activation before a function that takes floats: codes stand between them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from evo_qnas.networks.export.common.walk import walk
from evo_qnas.networks.export.runtime import RUNTIMES
from tests.networks.export.conftest import quantized


@pytest.mark.parametrize("runtime", ["onnx", "tflite"])
def test_an_activated_layer_before_a_softmax_runs_in_integers(runtime: str, tmp_path: Path) -> None:
    sample = torch.randn(6, 2, 16, generator=torch.Generator().manual_seed(0))
    network = quantized(nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.LogSoftmax(1)), sample)
    exporter, path = RUNTIMES.get(runtime), tmp_path / "file"
    exporter.write(network, path)
    codes = exporter.codes(network, path, sample.numpy())
    assert codes is not None, "the runtime tells its codes"
    assert walk(network, codes, sample, steps=exporter.tolerance.steps).differing == {}
    used = exporter.kernels(path)
    assert used.integer_convolutions == used.convolutions == 1
