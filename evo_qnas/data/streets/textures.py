"""One tile of noise that repeats seamlessly, sampled by everything that has a texture."""

import functools

import numpy as np
from jaxtyping import Float

# Side of a texture in pixels, which repeats.
TILE = 256
WRAP = TILE - 1  # n & WRAP is n modulo TILE, many times faster


@functools.cache
def tile() -> Float[np.ndarray, "256 256"]:
    """Value noise of six octaves, float32 in -1..1, the same on every machine."""
    rng = np.random.Generator(np.random.PCG64(20_240_125))
    total = np.zeros((TILE, TILE), dtype=np.float32)
    for cells, weight in ((4, 0.3), (8, 0.25), (16, 0.2), (32, 0.2), (64, 0.25), (128, 0.3)):
        total += np.float32(weight) * _smooth(rng.random((cells, cells), dtype=np.float32) * 2 - 1)
    return np.clip(total, -1, 1)


def _smooth(coarse: Float[np.ndarray, "cells cells"]) -> Float[np.ndarray, "256 256"]:
    """A coarse grid stretched to the tile, bilinearly and around the edges."""
    cells = len(coarse)
    position = np.arange(TILE, dtype=np.float32) * np.float32(cells / TILE)
    low = position.astype(np.intp)
    part = position - low.astype(np.float32)
    high = (low + 1) % cells
    rows = coarse[low] * (1 - part)[:, None] + coarse[high] * part[:, None]
    return np.asarray(rows[:, low] * (1 - part) + rows[:, high] * part)
