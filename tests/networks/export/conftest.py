from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from tests.networks.conftest import _trained, images, labelled, teacher

__all__ = ["_trained", "images", "labelled", "teacher"]

pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'evo-qnas[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'evo-qnas[onnx]'")

EIGHT = Bits(weight=8, activation=8)


def quantized(network: nn.Module, sample: torch.Tensor, fixed: Bits = EIGHT, **blocks: Bits) -> QuantizedNetwork:
    made = quantize(network.eval(), sample[:2], Policy(fixed=fixed, blocks=blocks))
    made.calibrate([sample])
    return made


def quantized_teacher(teacher: nn.Module, images: torch.Tensor, weight: int, activation: int) -> QuantizedNetwork:
    bits = Bits(weight=weight, activation=activation)
    network = quantize(teacher, images[:2], Policy(fixed=EIGHT, blocks={"stages.0": bits, "stages.1": bits}))
    network.calibrate([images])
    return network


def written(network: QuantizedNetwork, folder: Path) -> Path:
    from evo_qnas.networks.export.onnx.translate import to_onnx

    path = folder / "model.onnx"
    path.write_bytes(to_onnx(network).SerializeToString())
    return path


def in_runtime(path: Path, pixels: torch.Tensor, **options: Any) -> torch.Tensor:
    from evo_qnas.networks.export.onnx.sessions import open_session, run

    return torch.from_numpy(run(open_session(path, **options), pixels.numpy()))


class RandomNetwork(nn.Module):
    """Strides, depthwise and dilated convolutions, a residual, a concatenation, a ReLU of codes, pooling, a head."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        width, hidden = int(rng.integers(3, 20)), int(rng.integers(3, 33))
        kernel = int(rng.choice([1, 3, 5]))
        self.stem = nn.Conv2d(3, width, 3, stride=int(rng.integers(1, 3)), padding=1)
        self.block = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.ReLU6(),
            nn.Conv2d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
            nn.ReLU6() if rng.random() < 0.5 else nn.ReLU(),
            nn.Conv2d(hidden, width, 1),
        )
        self.wide = nn.Conv2d(width, width + 1, 3, dilation=2, padding="same", bias=bool(rng.random() < 0.5))
        self.pool = nn.MaxPool2d(2) if rng.random() < 0.5 else nn.Identity()
        self.head = nn.Linear(2 * width + 1, 5)
        self.mean = rng.random() < 0.5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.block(x) + x
        z = self.pool(torch.cat([torch.relu(self.wide(y)), y], 1))
        z = z.mean((2, 3)) if self.mean else torch.flatten(nn.functional.adaptive_avg_pool2d(z, 1), 1)
        return self.head(z)


def random_network(seed: int) -> tuple[QuantizedNetwork, torch.Tensor]:
    """A calibrated random network of mixed bits 2..8, and random inputs that leave the calibrated ranges."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = RandomNetwork(rng).eval()

    def bits() -> Bits:
        return Bits(weight=int(rng.integers(2, 9)), activation=int(rng.integers(2, 9)))

    blocks = {name: bits() for name in ("stem", "block", "wide")}
    policy = Policy(fixed=bits(), blocks=blocks, image_bits=int(rng.integers(2, 9)))
    sample = torch.randn(32, 3, 12, 12, generator=generator)
    made = quantize(network, sample[:2], policy)
    made.calibrate([sample])
    return made, torch.randn(32, 3, 12, 12, generator=generator) * 1.3
