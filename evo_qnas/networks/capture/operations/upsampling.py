"""Bilinear up-sampling in float32, operation for operation as ONNX Runtime's Resize computes it."""

import numpy as np
from jaxtyping import Float

_F = np.float32


def resize_scale(size: int, target: int) -> np.float32:
    """The scale from which a runtime gets `target` of `size`: it takes their product and drops the fraction.

    Example:
        >>> int(np.float32(7) * np.float32(31 / 7)), int(np.float32(7) * resize_scale(7, 31))
        (30, 31)
    """
    scale = _F(target / size)
    return scale if int(_F(size) * scale) == target else np.nextafter(scale, _F(np.inf))


def _axis(size: int, target: int, *, corners: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The two input positions on either side of each output position, and its distances from them."""
    position = np.arange(target, dtype=_F)
    if corners:
        position = position * _F(size - 1) / _F(max(1, target - 1))
    elif target != size:
        position = (position + _F(0.5)) / resize_scale(size, target) - _F(0.5)
    position = np.clip(position, _F(0), _F(size - 1))
    low = position.astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    same = low == high
    from_low, from_high = np.abs(position - low.astype(_F)), np.abs(position - high.astype(_F))
    return low, high, np.where(same, _F(0.5), from_low), np.where(same, _F(0.5), from_high)


def bilinear(
    maps: Float[np.ndarray, "n c h w"], size: tuple[int, int], *, corners: bool = False
) -> Float[np.ndarray, "n c height width"]:
    """(n, c, height, width) float32: `maps` at another size.

    Args:
        maps: float32.
        size: target height and width.
        corners: corner values stay in the corners (`align_corners`); else half-pixel centres.

    Source: ONNX operator Resize, mode linear; the order of the float32 operations is that of ONNX Runtime's
    `UpsampleBilinear`.
    """
    top, bottom, down, up = _axis(maps.shape[2], size[0], corners=corners)
    left, right, along, back = _axis(maps.shape[3], size[1], corners=corners)
    upper, lower = maps[:, :, top], maps[:, :, bottom]
    total: np.ndarray = (back * up[:, None]) * upper[..., left] + (along * up[:, None]) * upper[..., right]
    total += (back * down[:, None]) * lower[..., left]
    total += (along * down[:, None]) * lower[..., right]
    return total
