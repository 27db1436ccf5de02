"""Random shifts, flips, scales, crops and colours of labelled images: pure functions on batches."""

import math
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Int
from torch.nn import functional

from evo_qnas.data.images import IGNORE

# Shares of red, green and blue in the luma of ITU-R BT.601.
_GREY = (0.299, 0.587, 0.114)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """Limits of what `augment` does to an image.

    Attributes:
        flip: mirror left and right in half of the cases.
        scale: smallest and largest factor of size, drawn evenly on a logarithmic axis.
        crop: (height, width) of what comes out, None for the size that came in. A scaled image that is smaller lies
            somewhere inside, and around it pixels are 0 and labels `IGNORE`.
        brightness: most that is added to or taken from all pixels of an image, in deviations of normalised pixels.
        contrast: distances from the image's mean grey are multiplied by 1 - contrast .. 1 + contrast.
        saturation: distances from each pixel's own grey are multiplied by 1 - saturation .. 1 + saturation.
    """

    flip: bool = True
    scale: tuple[float, float] = (1.0, 1.0)
    crop: tuple[int, int] | None = None
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0


def shift(
    pixels: Float[torch.Tensor, "n c h w"], most: int, generator: torch.Generator
) -> Float[torch.Tensor, "n c h w"]:
    """Images moved by up to `most` pixels each way, the border filled with its own pixels."""
    if most == 0:
        return pixels
    n, _, height, width = pixels.shape
    padded = functional.pad(pixels, (most, most, most, most), mode="replicate")
    moves = torch.randint(0, 2 * most + 1, (2, n, 1), generator=generator)
    rows = (moves[0] + torch.arange(height))[:, None, :, None]
    columns = (moves[1] + torch.arange(width))[:, None, None, :]
    images = torch.arange(n)[:, None, None, None]
    channels = torch.arange(pixels.shape[1])[None, :, None, None]
    return padded[images, channels, rows, columns]


def augment(
    pixels: Float[torch.Tensor, "n 3 h w"],
    labels: Int[torch.Tensor, "n h w"],
    settings: Augmentation,
    generator: torch.Generator,
) -> tuple[Float[torch.Tensor, "n 3 a b"], Int[torch.Tensor, "n a b"]]:
    """New pixels and labels, each image with draws of its own; pixels are sampled bilinearly, labels are the nearest.

    Args:
        pixels: normalised, so that 0 is the mean and 1 the deviation of a colour; stay unchanged.
        labels: class of each pixel, `IGNORE` for none; stay unchanged.
        settings: the limits.
        generator: on the CPU; the draws do not depend on the device of the images, nor one kind on another's settings.
    """
    draws = torch.rand((7, len(pixels)), generator=generator, dtype=torch.float64)
    if settings.brightness or settings.contrast or settings.saturation:
        pixels = _recolour(pixels, settings, draws[4:].to(device=pixels.device, dtype=pixels.dtype))
    if settings.flip or settings.crop is not None or settings.scale != (1.0, 1.0):
        height, width = pixels.shape[2:]
        y, x = (part.to(pixels.device) for part in _coordinates((height, width), settings, draws[:4]))
        pixels, labels = _bilinear(pixels, y, x), _nearest(labels, y, x)
    return pixels, labels


def _recolour(
    pixels: Float[torch.Tensor, "n 3 h w"], settings: Augmentation, draws: Float[torch.Tensor, "3 n"]
) -> Float[torch.Tensor, "n 3 h w"]:
    """Saturation, contrast, brightness as one linear map per image."""
    swing = 2.0 * draws - 1.0
    shift, contrast = settings.brightness * swing[0], 1.0 + settings.contrast * swing[1]
    saturation = (1.0 + settings.saturation * swing[2])[:, None, None]
    grey = pixels.new_tensor(_GREY)
    mixing = saturation * torch.eye(3, dtype=grey.dtype, device=grey.device) + (1.0 - saturation) * grey
    mean = pixels.mean(dim=(2, 3)) @ grey
    offset = (1.0 - contrast) * mean + shift
    mixed = torch.baddbmm(offset[:, None, None], contrast[:, None, None] * mixing, pixels.flatten(2))
    return mixed.view_as(pixels)


def _coordinates(
    size: tuple[int, int], settings: Augmentation, draws: Float[torch.Tensor, "4 n"]
) -> tuple[Float[torch.Tensor, "n a"], Float[torch.Tensor, "n b"]]:
    """Row and column of the image at each row and column of the result; pixel centres are whole numbers."""
    smallest, largest = (math.log(factor) for factor in settings.scale)
    scale = torch.exp(smallest + (largest - smallest) * draws[0])
    axes = []
    for length, side, draw in zip(size, settings.crop or size, draws[1:3], strict=True):
        start = torch.round(draw * (scale * length - side))
        axes.append((torch.arange(side) + 0.5 + start[:, None]) / scale[:, None] - 0.5)
    y, x = axes
    if settings.flip:
        x = torch.where(draws[3, :, None] < 0.5, size[1] - 1 - x, x)
    return y, x


def _bilinear(
    pixels: Float[torch.Tensor, "n 3 h w"], y: Float[torch.Tensor, "n a"], x: Float[torch.Tensor, "n b"]
) -> Float[torch.Tensor, "n 3 a b"]:
    """Pixels at rows y and columns x, 0 outside of the image."""
    height, width = pixels.shape[2:]
    down, right = (2 * y + 1) / height - 1, (2 * x + 1) / width - 1
    axes = (right.to(pixels.dtype)[:, None, :], down.to(pixels.dtype)[:, :, None])
    grid = torch.stack(torch.broadcast_tensors(*axes), dim=-1)
    sampled = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.mul_(_inside((height, width), y, x)[:, None])


def _nearest(
    labels: Int[torch.Tensor, "n h w"], y: Float[torch.Tensor, "n a"], x: Float[torch.Tensor, "n b"]
) -> Int[torch.Tensor, "n a b"]:
    """Labels at rows y and columns x, `IGNORE` outside of the image."""
    height, width = labels.shape[1:]
    row, column = torch.floor(y + 0.5).long(), torch.floor(x + 0.5).long()
    image = torch.arange(len(labels), device=labels.device)[:, None, None]
    nearest = labels[image, row.clamp(0, height - 1)[:, :, None], column.clamp(0, width - 1)[:, None, :]]
    return nearest.masked_fill(~_inside((height, width), y, x), IGNORE)


def _inside(
    size: tuple[int, int], y: Float[torch.Tensor, "n a"], x: Float[torch.Tensor, "n b"]
) -> Bool[torch.Tensor, "n a b"]:
    """True where a position lies on a pixel of the image."""
    on_y, on_x = ((part >= -0.5) & (part < length - 0.5) for part, length in zip((y, x), size, strict=True))
    return on_y[:, :, None] & on_x[:, None, :]
