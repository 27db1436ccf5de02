"""Maps at sizes that are no multiples: positions are torch's, and the sizes that files declare are those they give."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.networks.export.common.walk import walk
from evo_qnas.networks.export.runtime import RUNTIMES
from tests.networks.export.conftest import quantized

# A scale of 5 / 3 in float32 lies below it; positions of 10 / 6 fall on whole numbers; 31 / 7 times 7 is below 31.
SIZES = [((3, 6), (5, 10)), ((7, 6), (31, 4)), ((5, 5), (3, 12))]


class _Beside(nn.Module):
    """Maps at another size, beside a cut-out of that size, with which their declared size must agree."""

    def __init__(self, mode: str, settings: dict[str, Any]) -> None:
        super().__init__()
        self.resize = nn.Upsample(mode=mode, **settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.resize(x)
        rim = [0, y.shape[3] - x.shape[3], 0, y.shape[2] - x.shape[2]]
        return torch.cat([y, functional.pad(x, rim)], 1).flatten(1)


@pytest.mark.parametrize("runtime", ["onnx", "tflite"])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear"])
@pytest.mark.parametrize(
    ("before", "settings"),
    [*((before, {"size": after}) for before, after in SIZES), ((7, 9), {"scale_factor": 1.7})],
    ids=["small", "large", "down", "factor"],
)
def test_codes_at_any_size(
    before: tuple[int, int], settings: dict[str, Any], mode: str, runtime: str, tmp_path: Path
) -> None:
    sample = torch.randn(4, 2, *before, generator=torch.Generator().manual_seed(0))
    network = quantized(_Beside(mode, settings), sample)
    with torch.no_grad():
        wanted = network(sample)
    exporter, path = RUNTIMES.get(runtime), tmp_path / "file"
    exporter.write(network, path)
    given = torch.from_numpy(exporter.run(exporter.open(path), sample.numpy()))
    assert given.shape == wanted.shape
    codes = exporter.codes(network, path, sample.numpy())
    assert codes is not None, "the runtime tells its codes"
    assert walk(network, codes, sample, steps=exporter.tolerance.steps).differing == {}
    if mode != "bilinear":
        step = float(network.quantizers[-1].scale().detach())
        assert (given - wanted).abs().max() <= 1.01 * step * exporter.tolerance.steps, "copies of values are the values"
