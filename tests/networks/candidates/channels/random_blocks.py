"""Blocks of random operations on maps, whose channels are tied in every way that networks tie them."""

import random
from collections.abc import Callable

import torch
from torch import nn

Step = Callable[[torch.Tensor], torch.Tensor]


class Attention(nn.Module):
    """Self-attention over the places of a map, with the number of heads in its code."""

    def __init__(self, width: int, heads: int, *, scaled: bool) -> None:
        super().__init__()
        self.qkv, self.out, self.heads, self.scaled = nn.Linear(width, 24), nn.Linear(8, width), heads, scaled

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        y = self.qkv(x.flatten(2).transpose(1, 2)).view(n, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = y.unbind(0)
        if self.scaled:
            mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        else:
            mixed = torch.softmax(query @ key.transpose(-1, -2) * 0.3, -1) @ value
        total: torch.Tensor = self.out(mixed.transpose(1, 2).reshape(n, h * w, -1)).transpose(1, 2).view(n, c, h, w)
        return x + total


class Perceptron(nn.Module):
    """Norm and two linear layers on channels last, with a factor for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 16), nn.Linear(16, width)
        self.factor = nn.Parameter(torch.rand(width, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.narrow(nn.functional.gelu(self.wide(self.norm(x.permute(0, 2, 3, 1)))))
        total: torch.Tensor = x + self.factor * y.permute(0, 3, 1, 2)
        return total


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce, self.widen = nn.Conv2d(width, 8, 1), nn.Conv2d(8, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gated: torch.Tensor = x * torch.sigmoid(self.widen(torch.relu(self.reduce(x.mean((2, 3), keepdim=True)))))
        return gated


class Split(nn.Module):
    """Half of the channels go through a layer and are joined to the others; a shuffle mixes both."""

    def __init__(self, width: int, *, shuffled: bool, chunked: bool) -> None:
        super().__init__()
        self.inner, self.width = nn.Conv2d(width // 2, width // 2, 3, padding=1), width
        self.shuffled, self.chunked = shuffled, chunked

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = x.chunk(2, 1) if self.chunked else (x[:, : self.width // 2], x[:, self.width // 2 :])
        y = torch.cat([one, torch.relu(self.inner(other))], 1)
        if not self.shuffled:
            return y
        n, c, h, w = y.shape
        return y.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Branches(nn.Module):
    """Two layers side by side, added or concatenated and read."""

    def __init__(self, width: int, *, added: bool) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(width, 12, 3, padding=1), nn.Conv2d(width, 12, 1)
        self.norm = nn.BatchNorm2d(12 if added else 24)
        self.read, self.added = nn.Conv2d(12 if added else 24, width, 1), added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.one(x), self.other(x)
        joined = one + other if self.added else torch.cat([one, other], 1)
        y: torch.Tensor = self.read(torch.relu(self.norm(joined)))
        return y


class Rows(nn.Module):
    """Two layers that add the product of all rows and a matrix to a bias, with the width in their code."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Parameter(torch.randn(width, 16) * 0.3), nn.Parameter(torch.randn(16, width) * 0.3)
        self.shift, self.bias, self.width = nn.Parameter(torch.randn(16)), nn.Parameter(torch.randn(width)), 16

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        y = torch.addmm(self.shift, tokens.reshape(-1, c), self.wide).view(n, h * w, self.width)
        y = torch.addmm(self.bias, nn.functional.gelu(y).view(-1, self.width), self.narrow).view(n, h * w, c)
        total: torch.Tensor = x + y.transpose(1, 2).reshape(n, c, h, w)
        return total


class Standardized(nn.Conv2d):
    """A convolution that computes its weights from weights."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x, torch.tanh(self.weight) * 0.5, self.bias)


class Residual(nn.Module):
    """A sum of a map and what other steps make of it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = x + self.body(x)
        return total


def random_block(seed: int) -> nn.Module:
    """A block of 8 channels in and out, of two to five steps; weights and statistics of which every one matters."""
    rng = random.Random(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers, width = [], 8
        for _ in range(rng.randint(2, 5)):
            step, width = _step(rng, width)
            layers.append(step)
        block = nn.Sequential(*layers, nn.Conv2d(width, 8, 1))
        if rng.random() < 0.5:
            block = nn.Sequential(Residual(block))
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert tensor is not None  # a BatchNorm with all of them
                    nn.init.uniform_(tensor, 0.2, 1.5)
    return block.eval()


def _step(rng: random.Random, width: int) -> tuple[nn.Module, int]:
    """One step and the channels that it gives."""
    wider = rng.choice([8, 16, 24])
    same: list[Callable[[], nn.Module]] = [
        lambda: nn.BatchNorm2d(width),
        lambda: nn.PReLU(width),
        lambda: nn.SiLU(inplace=True),
        lambda: nn.GroupNorm(rng.choice([2, 4, width]), width),
        lambda: nn.Conv2d(width, width, 3, padding=1, groups=width),
        lambda: nn.Conv2d(width, width, 3, padding=1, groups=4),
        lambda: nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(width, width, 3)),
        lambda: nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.AvgPool2d(3, 1, 1)),
        lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.AvgPool2d(2)),
        lambda: Gate(width),
        lambda: Split(width, shuffled=rng.random() < 0.5, chunked=rng.random() < 0.5),
        lambda: Attention(width, rng.choice([1, 2, 4]), scaled=rng.random() < 0.5),
        lambda: Perceptron(width),
        lambda: Branches(width, added=rng.random() < 0.5),
        lambda: Rows(width),
        lambda: Residual(nn.Sequential(nn.Conv2d(width, 16, 1), nn.ReLU6(), nn.Conv2d(16, width, 3, padding=1))),
    ]
    changing: list[Callable[[], nn.Module]] = [
        lambda: nn.Conv2d(width, wider, 1, bias=rng.random() < 0.5),
        lambda: nn.Conv2d(width, wider, 3, padding=1),
        lambda: nn.ConvTranspose2d(width, wider, 3, padding=1),
        lambda: Standardized(width, wider, 3, padding=1),
        lambda: nn.Conv2d(width, wider, 3, padding=1, groups=2),
    ]
    if rng.random() < 0.4:
        return rng.choice(changing)(), wider
    return rng.choice(same)(), width
