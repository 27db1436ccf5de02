"""Fronts that line the street: houses, hedges, walls, fences as upright planes that run ahead, painted by columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from evo_qnas.data.streets.canvas import Canvas
from evo_qnas.data.streets.light import Colour, Light
from evo_qnas.data.streets.materials import class_of
from evo_qnas.data.streets.textures import WRAP, tile


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One piece of a plane, from where the piece before it ends.

    Attributes:
        end: depth at which it ends, metres.
        kind: its class; of no meaning where the height is 0.
        height: metres; 0 shows what is behind.
        gap: shows the near wall of the next piece, which faces the camera.
        wall: colour.
        opening: colour of windows, or of what shows between the bars of a fence.
        roof: colour of the upmost metre.
        pitch: metres from window to window or from bar to bar, 0 for none.
        storey: metres from one row of windows to the next.
        rough: how uneven its upper edge (metres) is; colours vary by ten times that.
    """

    end: float
    kind: str = "building"
    height: float = 0.0
    gap: bool = False
    wall: Colour
    opening: Colour
    roof: Colour
    pitch: float = 0.0
    storey: float = 3.0
    rough: float = 0.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The piece that each column of the image shows, its depth (metres) and how far along the piece (metres)."""

    piece: np.ndarray
    depth: np.ndarray
    along: np.ndarray
    gain: np.ndarray


def paint_fronts(
    canvas: Canvas,
    left: tuple[float, Sequence[Piece]],
    right: tuple[float, Sequence[Piece]],
    light: Light,
) -> None:
    """Paints both sides of the street.

    Args:
        canvas: holds what is behind.
        left: distance of the plane on the left, metres, and its pieces, nearest first; the last has height 0.
        right: the same on the right.
        light: for the brightness of the sides.
    """
    camera, pieces = canvas.camera, [*left[1], *right[1]]
    columns = _columns(canvas, left, right, light)
    last = camera.horizon + camera.focal * camera.above / max(1.0, float(columns.depth.min()))
    rows = np.arange(min(camera.height, int(last) + 1), dtype=np.float32) + np.float32(0.5 - camera.horizon)
    heights = np.float32(camera.above) - rows[:, None] * (columns.depth / camera.focal).astype(np.float32)
    table = _table(pieces)[columns.piece]
    noise = tile()[(columns.along * 7).astype(np.intp) & WRAP, (columns.piece * 41) & WRAP]
    top = table[:, 0] + table[:, 3] * noise * (table[:, 0] > 0)
    shown = (heights >= 0) & (heights < top)
    windows = _fraction(heights * (1 / table[:, 2]))
    opened = (windows > 0.34) & (windows < 0.8) & (heights < top - 1.2)
    part = _fraction(columns.along / np.maximum(table[:, 1], 0.1))
    opened &= (table[:, 1] > 0) & (part > 0.3) & (part < 0.78)
    slot = columns.piece * 3 + opened + 2 * (heights > top - np.float32(0.7))
    there = slice(0, len(rows))
    grain = tile()[(heights * 23).astype(np.intp) & WRAP, (columns.along * 23).astype(np.intp) & WRAP]
    painted = _hazed(pieces)[slot] + (grain * (6 + 10 * table[:, 3]))[..., None]
    clear = (canvas.thickness / (columns.depth + canvas.thickness)).astype(np.float32)[:, None]
    painted = painted * (columns.gain[:, None] * clear) + canvas.haze * (1 - clear)
    np.copyto(canvas.colours[there], painted, where=shown[..., None])
    kinds = np.array([class_of(piece.kind) for piece in pieces], dtype=np.uint8)[columns.piece]
    np.copyto(canvas.labels[there], kinds, where=shown)


def _fraction(numbers: np.ndarray) -> np.ndarray:
    """Things behind the point."""
    return np.asarray(numbers - np.floor(numbers))


def _columns(
    canvas: Canvas,
    left: tuple[float, Sequence[Piece]],
    right: tuple[float, Sequence[Piece]],
    light: Light,
) -> _Columns:
    """Contents of each column."""
    camera = canvas.camera
    across = np.arange(camera.width) + (0.5 - camera.centre)
    on_left = across < 0
    away = np.maximum(np.abs(across), 0.05)
    depth = camera.focal * np.where(on_left, left[0], right[0]) / away
    ends = [np.array([piece.end for piece in pieces]) for _, pieces in (left, right)]
    piece = np.where(
        on_left,
        np.searchsorted(ends[0][:-1], depth),
        np.searchsorted(ends[1][:-1], depth) + len(ends[0]),
    )
    gap = np.array([part.gap for _, pieces in (left, right) for part in pieces])[piece]
    depth = np.where(gap, np.concatenate(ends)[piece], depth)
    gain = np.where(gap, 0.95, np.where(on_left, light.sides[0], light.sides[1])).astype(np.float32)
    along = np.where(gap, away * depth / camera.focal, depth)
    return _Columns(piece=piece + gap, depth=np.minimum(depth, 1e4), along=np.minimum(along, 1e4), gain=gain)


def _table(pieces: Sequence[Piece]) -> Float[np.ndarray, "pieces 4"]:
    """Height, pitch, storey and roughness of each piece."""
    return np.array([(p.height, p.pitch, p.storey, p.rough) for p in pieces], dtype=np.float32)


def _hazed(pieces: Sequence[Piece]) -> Float[np.ndarray, "slots 3"]:
    """Colours of wall, opening, roof (twice: an opening never reaches the roof) of each piece."""
    return np.concatenate([np.stack([piece.wall, piece.opening, piece.roof]) for piece in pieces])
