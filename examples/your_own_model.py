"""From a model and a loader of yours to an ONNX file within a size: `python examples/your_own_model.py`."""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import evo_qnas as eq

pixels, labels = load_digits(return_X_y=True)
images, classes = torch.tensor(pixels / 16.0).float().reshape(-1, 1, 8, 8), torch.tensor(labels)
loader = DataLoader(TensorDataset(images, classes), batch_size=64, shuffle=True)
body = [nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
model = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), *body, nn.Flatten(), nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), 3e-3)
for batch, targets in (pair for _ in range(4) for pair in loader):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(batch), targets).backward()
    optimizer.step()
quick = {"finetuning": {"epochs": 2}, "distillation": {"steps": 50}, "validation": {"random_networks": 0}}
best = eq.compress(model, loader, metric=eq.metrics.accuracy, loss=nn.functional.cross_entropy, blocks=["2", "4"],
                   limit="size_bytes <= 0.7x", folder=sys.argv[1], **quick)  # fmt: skip
print(best, best.export(f"{sys.argv[1]}/mine.onnx"), sep="\n")
