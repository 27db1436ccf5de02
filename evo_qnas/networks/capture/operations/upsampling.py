"""Bilinear up-sampling in float32, operation for operation as ONNX Runtime's Resize computes it."""

import numpy as np
from jaxtyping import Float
from torch import fx

from evo_qnas.networks.capture.operations.operation import arguments_of

_F = np.float32


def resize_scale(size: int, target: int) -> np.float32:
    """The scale from which a runtime gets `target` of `size`: it takes their product and drops the fraction.

    Kernels round the product to float32, the inference of shapes does not.

    Example:
        >>> int(np.float32(7) * np.float32(31 / 7)), int(np.float32(7) * resize_scale(7, 31))
        (30, 31)
        >>> int(3 * float(np.float32(5 / 3))), int(3 * float(resize_scale(3, 5)))
        (4, 5)
    """
    scale = _F(target / size)
    return scale if int(size * float(scale)) == target else np.nextafter(scale, _F(np.inf))


def scales_of(node: fx.Node) -> tuple[np.float32, ...]:
    """The scale of each axis of maps: the factor where one was given that is no quotient of the sizes."""
    source, factors = node.args[0], arguments_of(node)[-1]
    before, after = source.meta["val"].shape[2:], node.meta["val"].shape[2:]  # type: ignore[union-attr]  # a node
    scales = [resize_scale(int(size), int(target)) for size, target in zip(before, after, strict=True)]
    for axis, factor in enumerate(factors or ()):
        size, target = int(before[axis]), int(after[axis])
        if size * factor != target and int(_F(size) * _F(factor)) == target:
            scales[axis] = _F(factor)
    return tuple(scales)


def _axis(
    size: int, target: int, scale: np.float32, *, corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The two input positions on either side of each output position, and its distances from them."""
    position = np.arange(target, dtype=_F)
    if corners:
        position = position * _F(size - 1) / _F(max(1, target - 1))
    elif scale != 1:
        position = (position + _F(0.5)) / scale - _F(0.5)
    position = np.clip(position, _F(0), _F(size - 1))
    low = position.astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    same = low == high
    from_low, from_high = np.abs(position - low.astype(_F)), np.abs(position - high.astype(_F))
    return low, high, np.where(same, _F(0.5), from_low), np.where(same, _F(0.5), from_high)


def bilinear(
    maps: Float[np.ndarray, "n c h w"],
    size: tuple[int, int],
    *,
    corners: bool = False,
    scales: tuple[np.float32, ...] | None = None,
) -> Float[np.ndarray, "n c height width"]:
    """(n, c, height, width) float32: `maps` at another size.

    Args:
        maps: float32.
        size: target height and width.
        corners: corner values stay in the corners (`align_corners`); else half-pixel centres.
        scales: of height and width, see `scales_of`; the quotients of the sizes where absent.

    Source: ONNX operator Resize, mode linear; the order of the float32 operations is that of ONNX Runtime's
    `UpsampleBilinear`.
    """
    tall, wide = scales or (resize_scale(maps.shape[2], size[0]), resize_scale(maps.shape[3], size[1]))
    top, bottom, down, up = _axis(maps.shape[2], size[0], tall, corners=corners)
    left, right, along, back = _axis(maps.shape[3], size[1], wide, corners=corners)
    upper, lower = maps[:, :, top], maps[:, :, bottom]
    total: np.ndarray = (back * up[:, None]) * upper[..., left] + (along * up[:, None]) * upper[..., right]
    total += (back * down[:, None]) * lower[..., left]
    total += (along * down[:, None]) * lower[..., right]
    return total
