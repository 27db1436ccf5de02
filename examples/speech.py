"""Spoken digits: a 1-D network on waveforms, trained, compressed and exported.

    EVO_QNAS_DATA=folder python examples/speech.py results/speech

The folder holds `spoken_digits.npz`: recordings at 8 kHz, one behind the other. The official test set are the
recordings with index 0 to 4 of each speaker and digit; those with index 5 to 9 score choices.
"""

import itertools
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import evo_qnas as eq

LENGTH = 6144  # samples, about three quarters of a second: longer than nine of ten recordings


def recordings(path: Path) -> dict[str, TensorDataset]:
    """Waveforms (1, LENGTH) of loudness 1 and their digits, by part."""
    with np.load(path, allow_pickle=False) as file:
        sound, start, digit, index = (file[name] for name in ("sound", "start", "digit", "index"))
    waves = np.zeros((len(digit), 1, LENGTH), dtype=np.float32)
    for row, (first, last) in enumerate(itertools.pairwise(start)):
        wave = sound[first:last][:LENGTH].astype(np.float32)
        waves[row, 0, : len(wave)] = wave / (wave.std() * 4.0 + 1.0)
    parts = {"test": index <= 4, "search": (index > 4) & (index <= 9), "train": index > 9}
    inputs, labels = torch.from_numpy(waves), torch.from_numpy(digit.astype(np.int64))
    return {name: TensorDataset(inputs[chosen], labels[chosen]) for name, chosen in parts.items()}


def layer(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU())


class Waves(nn.Module):
    """Convolutions over time, each stage at a quarter of the rate before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer(1, 32, 63, 8), nn.MaxPool1d(2))
        self.first = nn.Sequential(layer(32, 48, 7, 2), layer(48, 48, 5))
        self.second = nn.Sequential(layer(48, 64, 5, 2), layer(64, 64, 5))
        self.third = nn.Sequential(layer(64, 96, 5, 2), layer(96, 96, 3))
        self.head = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.3), nn.Linear(96, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.third(self.second(self.first(self.stem(x)))))


def train(model: nn.Module, data: TensorDataset, epochs: int) -> nn.Module:
    """The model, trained on recordings that are shifted and made louder or quieter at random."""
    waves, labels = data.tensors
    size = 64
    steps = epochs * (len(waves) // size)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(0, len(waves), (size,))
        batch = torch.roll(waves[chosen], int(torch.randint(-400, 400, ())), dims=2) * float(torch.rand(()) + 0.5)
        optimizer.zero_grad()
        functional.cross_entropy(model(batch), labels[chosen], label_smoothing=0.05).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def main(folder: Path, epochs: int = 12) -> None:
    torch.manual_seed(0)
    parts = recordings(Path(os.environ["EVO_QNAS_DATA"]) / "spoken_digits.npz")
    weights = folder / "model.pt"
    model = Waves()
    if weights.is_file():
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        train(model, parts["train"], epochs)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), weights)
    study = eq.Study(
        model,
        train=parts["train"],
        search=parts["search"],
        test=parts["test"],
        metric=eq.metrics.accuracy,
        loss=functional.cross_entropy,
        blocks=["first", "second", "third"],
        operators=[
            eq.operator("depthwise_separable", kernel=5, depth=[1, 2]),
            eq.operator("inverted_residual", kernel=5, expansion=2, depth=1),
        ],
        weight_bits=[2, 3, 4, 8],
        distillation={"steps": 200},
        finetuning={"epochs": 2},
        validation={"size_shares": [0.6, 0.4], "least_picks": 2, "random_networks": 0},
        classes=[str(digit) for digit in range(10)],
        folder=folder / "run",
    )
    best = study.run().best("size_bytes <= 0.6x")
    print(best)
    print(best.export(folder / "speech.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
