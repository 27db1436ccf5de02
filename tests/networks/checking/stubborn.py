"""Networks of a user's that cannot go through, each for a reason of its own."""

from typing import Any

import torch
from torch import nn


class Plain(nn.Module):
    """A convolution and a linear layer; `middle` is what a test is about."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 10)

    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.middle(self.body(self.stem(x)))
        logits: torch.Tensor = self.head(x.mean((2, 3)))
        return logits


class Halving(Plain):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        while x.abs().mean() > 0.5:
            x = x / 2
        return x


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.sign(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0]


class StraightThrough(Plain):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        signs: torch.Tensor = Sign.apply(x)  # type: ignore[no-untyped-call]
        return signs


@torch.library.custom_op("stubborn::double", mutates_args=())
def double(x: torch.Tensor) -> torch.Tensor:
    return x * 2


@double.register_fake
def _(x: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x)


class OwnOperation(Plain):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        doubled: torch.Tensor = double(x)
        return doubled


class OnTheHost(Plain):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)


class Raising(Plain):
    def middle(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("no such thing")
