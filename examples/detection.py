"""Blood cells: a small one-stage detector of one's own, trained, compressed and exported.

    EVO_QNAS_DATA=folder python examples/detection.py results/detection

The folder holds `bccd/`: photographs in train/, val/ and test/, and boxes.csv. The detector has no anchors: at every
eighth pixel it says how likely the middle of a cell of each kind is there, and how far its four sides are. Networks
learn from its raw outputs, a list of two maps; decoding and metric are those below.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import Dataset

import evo_qnas as eq

KINDS = ("RBC", "WBC", "Platelets")
SIZE, STRIDE, MOST = (120, 160), 8, 32  # of photographs at half size; boxes of a photograph at most


class Cells(Dataset):
    """Photographs (3, 120, 160) and boxes (MOST, 5): kind and corners in pixels, kind -1 where there is none."""

    def __init__(self, folder: Path, part: str) -> None:
        self.images, self.boxes = [], []
        known: dict[str, list[list[float]]] = {}
        with (folder / "boxes.csv").open() as file:
            for row in csv.DictReader(file):
                corners = [float(row[name]) / 2 for name in ("x0", "y0", "x1", "y1")]
                if row["split"] == part and corners[2] > corners[0] and corners[3] > corners[1]:
                    known.setdefault(row["file"], []).append([KINDS.index(row["cell"]), *corners])
        for path in sorted((folder / part).glob("*.jpg")):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB").resize(SIZE[::-1], Image.Resampling.BILINEAR))
            self.images.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1.0)
            boxes = torch.full((MOST, 5), -1.0)
            found = torch.tensor(known.get(path.name, []))[:MOST]
            boxes[: len(found)] = found
            self.boxes.append(boxes)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.images[index], self.boxes[index]


def layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Detector(nn.Module):
    """Maps of kinds (logits) and of distances to the four sides, in strides."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(layer(3, 16, 2), layer(16, 32, 2))
        self.down = nn.Sequential(layer(32, 64, 2), layer(64, 64))
        self.body = nn.Sequential(layer(64, 64), layer(64, 64))
        self.neck = nn.Sequential(layer(64, 64), layer(64, 64))
        self.kinds, self.sides = nn.Conv2d(64, len(KINDS), 1), nn.Conv2d(64, 4, 1)
        nn.init.constant_(self.kinds.bias, -3.0)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        x = self.neck(self.body(self.down(self.stem(x))))
        return [self.kinds(x), functional.relu(self.sides(x))]


def wanted(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the maps should say (n, kinds, h, w) and the sides (n, 4, h, w), -1 where there is no middle of a cell."""
    height, width = SIZE[0] // STRIDE, SIZE[1] // STRIDE
    heat, sides = torch.zeros(len(boxes), len(KINDS), height, width), torch.full((len(boxes), 4, height, width), -1.0)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None, :]
    for image, kind, x0, y0, x1, y1 in [
        (image, int(row[0]), *row[1:].tolist()) for image, some in enumerate(boxes) for row in some if row[0] >= 0
    ]:
        x, y = (x0 + x1) / 2 / STRIDE - 0.5, (y0 + y1) / 2 / STRIDE - 0.5
        spread = max(0.5, 0.12 * min(x1 - x0, y1 - y0) / STRIDE)
        bump = torch.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * spread**2))
        row, column = min(max(round(y), 0), height - 1), min(max(round(x), 0), width - 1)
        bump[row, column] = 1.0
        heat[image, kind] = torch.maximum(heat[image, kind], bump)
        middle = ((column + 0.5) * STRIDE, (row + 0.5) * STRIDE)
        far = (middle[0] - x0, middle[1] - y0, x1 - middle[0], y1 - middle[1])
        sides[image, :, row, column] = torch.tensor(far).clamp_min(0.0) / STRIDE
    return heat, sides


def loss(outputs: list[torch.Tensor], boxes: torch.Tensor) -> torch.Tensor:
    """Focal loss of the kinds (Zhou et al. 2019, Objects as Points, equation 1) and distance of the sides."""
    heat, sides = wanted(boxes.cpu())
    middles = (heat == 1.0).float()
    chance = outputs[0].sigmoid().clamp(1e-4, 1.0 - 1e-4)
    right = middles * (1 - chance) ** 2 * chance.log()
    wrong = (1 - middles) * (1 - heat) ** 4 * chance**2 * (1 - chance).log()
    known = (sides >= 0.0).float()
    apart = (functional.smooth_l1_loss(outputs[1], sides, reduction="none") * known).sum() / known.sum().clamp_min(1.0)
    return -(right + wrong).sum() / middles.sum().clamp_min(1.0) + apart


def decode(outputs: list[torch.Tensor]) -> list[eq.metrics.Boxes]:
    """The surest boxes of each photograph: peaks of the maps."""
    chance, sides = outputs[0].sigmoid(), outputs[1] * STRIDE
    peaks = chance * (functional.max_pool2d(chance, 3, 1, 1) == chance)
    scores, places = peaks.flatten(1).topk(60)
    cells = chance.shape[2] * chance.shape[3]
    found = []
    for image in range(len(scores)):
        kind, at = places[image] // cells, places[image] % cells
        x, y = (at % chance.shape[3] + 0.5) * STRIDE, (at // chance.shape[3] + 0.5) * STRIDE
        left, up, right, down = sides[image].flatten(1)[:, at]
        corners = torch.stack([x - left, y - up, x + right, y + down], dim=1)
        found.append(eq.metrics.Boxes(corners=corners, labels=kind, scores=scores[image]))
    return found


def truth(boxes: torch.Tensor) -> list[eq.metrics.Boxes]:
    """The boxes of each photograph."""
    real = [some[some[:, 0] >= 0] for some in boxes]
    return [eq.metrics.Boxes(corners=some[:, 1:], labels=some[:, 0].long()) for some in real]


def train(model: nn.Module, data: Cells, epochs: int) -> nn.Module:
    """The model, trained on photographs that are mirrored at random."""
    images, boxes = torch.stack(data.images), torch.stack(data.boxes)
    size = 16
    steps = epochs * (len(images) // size)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (size,))
        batch, true = images[chosen], boxes[chosen].clone()
        if torch.rand(()) < 0.5:
            batch, (x0, x1) = batch.flip(3), (SIZE[1] - true[:, :, 3], SIZE[1] - true[:, :, 1])
            true[:, :, 1], true[:, :, 3] = x0, x1
        if torch.rand(()) < 0.5:
            batch, (y0, y1) = batch.flip(2), (SIZE[0] - true[:, :, 4], SIZE[0] - true[:, :, 2])
            true[:, :, 2], true[:, :, 4] = y0, y1
        optimizer.zero_grad()
        loss(model(batch), true).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def main(folder: Path, epochs: int = 15) -> None:
    torch.manual_seed(0)
    parts = {name: Cells(Path(os.environ["EVO_QNAS_DATA"]) / "bccd", name) for name in ("train", "val", "test")}
    weights = folder / "model.pt"
    model = Detector()
    if weights.is_file():
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        train(model, parts["train"], epochs)
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), weights)
    study = eq.Study(
        model,
        train=parts["train"],
        search=parts["val"],
        test=parts["test"],
        metric=eq.metrics.mean_average_precision(decode, truth, classes=len(KINDS)),
        loss=loss,
        match=["mse", "mse"],
        blocks=["down", "body", "neck"],
        operators=[eq.operator("depthwise_separable", kernel=3, depth=1), "identity"],
        weight_bits=[2, 4, 8],
        quantization={"calibration_images": 64},
        distillation={"steps": 60, "batch_size": 16},
        finetuning={"epochs": 2, "batch_size": 16},
        validation={"size_shares": [0.6, 0.45], "least_picks": 2, "random_networks": 0},
        classes=KINDS,
        folder=folder / "run",
    )
    best = study.run().best("size_bytes <= 0.6x")
    print(best)
    print(best.export(folder / "detection.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
