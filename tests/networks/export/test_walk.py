"""Walks through files: the outputs behind the codes count as well as the codes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.networks.export.common.walk import output_key, walk
from evo_qnas.networks.export.runtime import RUNTIMES
from tests.networks.export.conftest import quantized

LOGITS = output_key("logits")


def _maps() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.Upsample(size=(10, 8), mode="bilinear"))


def _classes() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.SiLU(), nn.Flatten(), nn.Linear(48, 5))


@pytest.mark.parametrize("runtime", ["onnx", "tflite"])
@pytest.mark.parametrize(("network", "upsample"), [(_classes, False), (_maps, False), (_maps, True)])
def test_outputs_of_another_scale_are_named(
    network: Callable[[], nn.Module], upsample: bool, runtime: str, tmp_path: Path
) -> None:
    """Codes that are right stand for other numbers where a file takes another scale at its end."""
    sample = torch.randn(6, 2, 5, 6, generator=torch.Generator().manual_seed(0))
    made, exporter, path = quantized(network(), sample), RUNTIMES.get(runtime), tmp_path / "file"
    exporter.write(made, path, upsample=upsample)
    codes = dict(exporter.codes(made, path, sample.numpy()) or {})
    given = exporter.run(exporter.open(path), sample.numpy())
    assert np.array_equal(codes[LOGITS], given)
    assert walk(made, codes, sample, steps=exporter.tolerance.steps).differing == {}
    codes[LOGITS] = codes[LOGITS] * np.float32(1.1)
    assert list(walk(made, codes, sample, steps=exporter.tolerance.steps).differing) == [LOGITS]
