"""A vision transformer on handwritten digits, trained, compressed and exported; needs scikit-learn and no files.

    python examples/vision_transformer.py results/transformer [SEED]

Its blocks are the layers of the transformer: they lose heads and hidden channels, are factorised, or have something
cheaper in the place of their attention, and each has bits of its own.
"""

import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

import evo_qnas as eq


class Attention(nn.Module):
    """Self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, tokens, width = x.shape
        shape = (n, tokens, 3, self.heads, width // self.heads)
        query, key, value = self.qkv(x).view(shape).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        y: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(n, tokens, width))
        return y


class Layer(nn.Module):
    """Attention and a perceptron, each behind a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.first(x))
        total: torch.Tensor = x + self.perceptron(self.second(x))
        return total


class VisionTransformer(nn.Module):
    """Patches of 2 x 2 pixels as tokens, 4 layers, the mean of all tokens."""

    def __init__(self, width: int = 48, heads: int = 4, layers: int = 4) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, 2)
        self.position = nn.Parameter(torch.randn(1, 16, width) * 0.02)
        self.layers = nn.Sequential(*[Layer(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        logits: torch.Tensor = self.head(self.norm(self.layers(tokens)).mean(1))
        return logits


def digits(seed: int) -> dict[str, TensorDataset]:
    """1,797 images of 8 x 8 pixels in three parts, drawn at random."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 8.0 - 1.0, dtype=torch.float32).view(-1, 1, 8, 8)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    parts = {"train": order[:1000], "search": order[1000:1300], "test": order[1300:]}
    return {name: TensorDataset(images[chosen], torch.tensor(labels)[chosen]) for name, chosen in parts.items()}


def train(model: nn.Module, data: TensorDataset, epochs: int = 60) -> nn.Module:
    """The model, trained on the images."""
    images, labels = data.tensors
    steps = epochs * (len(images) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (64,))
        optimizer.zero_grad()
        functional.cross_entropy(model(images[chosen]), labels[chosen], label_smoothing=0.05).backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def main(folder: Path, seed: int = 0) -> None:
    torch.manual_seed(seed)
    parts = digits(seed)
    weights, model = folder / "model.pt", VisionTransformer()
    if weights.is_file():
        model.load_state_dict(torch.load(weights, weights_only=True))
    else:
        train(model, parts["train"])
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(model.state_dict(), weights)
    study = eq.Study(
        model,
        **parts,
        metric=eq.metrics.accuracy,
        loss=functional.cross_entropy,
        blocks=[f"layers.{index}" for index in range(4)],
        operators=[
            eq.operator("pruned", keep=[75, 50, 25]),
            "factorised",
            "attention_none",
            "attention_linear",
            "attention_mean",
            "identity",
        ],
        weight_bits=[4, 6, 8],
        distillation={"steps": 100},
        finetuning={"epochs": 4},
        validation={"size_shares": [0.6, 0.4], "least_picks": 2, "random_networks": 0},
        classes=[str(digit) for digit in range(10)],
        seed=seed,
        folder=folder / "run",
    )
    best = study.run().best("size_bytes <= 0.6x")
    print(best)
    print(best.export(folder / "transformer.onnx"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
