"""A data source: noise with a bright square, whose side is the target. And a teacher for it, which a card names."""

from pathlib import Path

import torch
from torch import nn

from evo_qnas.data import DataCard, DataSource, Images, Splits
from evo_qnas.errors import DataError
from evo_qnas.networks.models.layers import conv_bn, inverted_residual


def squares(count: int, seed: int) -> Images:
    """Noise with a bright square of a side of 1..6 pixels; the target is the side, centred."""
    rng = torch.Generator().manual_seed(seed)
    sides = torch.randint(1, 7, (count,), generator=rng)
    pixels = 0.1 * torch.randn(count, 1, 8, 8, generator=rng)
    for row, side in enumerate(sides.tolist()):
        pixels[row, 0, :side, :side] += 1.0
    return Images(pixels=pixels, labels=sides.float() - 3.5)


class Squares(DataSource):
    about = "noise with a bright square; the target is its side, a float; data.options.train images"
    keys = frozenset({"split_seed", "options"})

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        unknown = set(card.options) - {"train"}
        if unknown:
            raise DataError(f"data.options.{min(unknown)}: squares have the option train alone")
        train, seed = int(card.options.get("train", 64)), card.split_seed
        return Splits(
            train=squares(train, 3 * seed), search=squares(48, 3 * seed + 1), test=squares(48, 3 * seed + 2), classes=()
        )


def teacher(width: int = 8) -> nn.Module:
    """A network for squares; the block between its ends keeps the shape of maps."""
    return nn.Sequential(
        conv_bn(1, width, kernel=3, stride=2),
        nn.Sequential(inverted_residual(width, width, kernel=3, expansion=4)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 1),
    )
