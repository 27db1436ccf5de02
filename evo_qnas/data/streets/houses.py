"""Houses, hedges, walls and fences that line a street."""

import numpy as np

from evo_qnas.data.streets.fronts import Piece
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.light import Colour, colour
from evo_qnas.data.streets.sampler import Sampler

_BLACK = colour(0, 0, 0)
# Metres ahead of the camera where fronts begin.
_START = 1.0


def draw_houses(layout: Layout, sampler: Sampler) -> list[Piece]:
    """The line of houses on one side, with gaps, trees and the side street."""
    pieces: list[Piece] = []
    depth, town = _START, sampler.between(5.0, 16.0)
    wooded = sampler.chance(0.2)
    while depth < layout.end:
        depth = min(depth + sampler.between(6.0, 22.0), layout.end)
        if sampler.chance(0.75 if wooded else 0.12):
            pieces.append(_hedge(sampler, depth, sampler.between(3.0, 9.0)))
        else:
            pieces.append(_house(sampler, depth, max(3.2, sampler.around(town, 5.0))))
        if sampler.chance(0.3) and depth < layout.end - 12:
            depth += sampler.between(1.5, 5.0)
            pieces.append(_open(depth, gap=True))
    return [*_with_crossing(pieces, layout), _open(1e9)]


def draw_fences(layout: Layout, side: Side, sampler: Sampler) -> list[Piece]:
    """Low walls, fences and hedges between sidewalk and gardens; nothing where houses stand at the sidewalk."""
    pieces: list[Piece] = []
    depth = _START
    if side.front - side.walk > 1.0:
        while depth < layout.end:
            depth += sampler.between(4.0, 20.0)
            pieces.append(sampler.one_of((_fence, _wall, _low_hedge, _nothing, _fence, _wall))(sampler, depth))
    return [*_with_crossing(pieces, layout), _open(1e9)]


def _with_crossing(pieces: list[Piece], layout: Layout) -> list[Piece]:
    """The pieces with the side street cut out; behind it, the near wall of the next house shows."""
    if layout.crossing is None or not pieces:
        return pieces
    near, far = layout.crossing
    cut = [piece for piece in pieces if piece.end <= near]
    over = [piece for piece in pieces if piece.end > near]
    if over and not over[0].gap:
        cut.append(_ending(over[0], near))
    rest = [piece for piece in over if piece.end > far]
    if rest and rest[0].gap:
        rest = rest[1:]
    return [*cut, _open(far, gap=bool(rest)), *rest]


def _ending(piece: Piece, end: float) -> Piece:
    """The piece with another end."""
    return Piece(
        end=end,
        kind=piece.kind,
        height=piece.height,
        wall=piece.wall,
        opening=piece.opening,
        roof=piece.roof,
        pitch=piece.pitch,
        storey=piece.storey,
        rough=piece.rough,
    )


def _open(end: float, *, gap: bool = False) -> Piece:
    return Piece(end=end, gap=gap, wall=_BLACK, opening=_BLACK, roof=_BLACK)


def _house(sampler: Sampler, end: float, height: float) -> Piece:
    """A house of any colour."""
    grey = sampler.between(75, 205)
    warm, green = sampler.between(-12, 45), sampler.between(-8, 10)
    wall = colour(grey + warm, grey + green, grey - warm * 0.7)
    dark = sampler.between(30, 90)
    shiny = sampler.between(0, 40)
    return Piece(
        end=end,
        kind="building",
        height=height,
        wall=wall,
        opening=colour(dark, dark + shiny * 0.4, dark + shiny),
        roof=_roof(sampler, wall),
        pitch=sampler.between(1.6, 3.6) if sampler.chance(0.92) else 0.0,
        storey=sampler.between(2.7, 3.6),
        rough=sampler.between(0.0, 0.25),
    )


def _roof(sampler: Sampler, wall: Colour) -> Colour:
    """Tiles, slate or no visible roof."""
    return sampler.one_of((wall, colour(120, 65, 50), colour(70, 70, 78), wall * np.float32(0.8)))


def _hedge(sampler: Sampler, end: float, height: float) -> Piece:
    """Leaves from the ground on: a hedge, or the edge of a wood."""
    dry = sampler.between(-15, 40)
    leaf = colour(70 + dry, 92 + 0.5 * dry, 48 + 0.2 * dry)
    return Piece(
        end=end,
        kind="vegetation",
        height=height,
        wall=leaf,
        opening=leaf,
        roof=leaf * np.float32(1.15),
        rough=0.12 + height * 0.16,
    )


def _low_hedge(sampler: Sampler, end: float) -> Piece:
    return _hedge(sampler, end, sampler.between(0.8, 2.0))


def _wall(sampler: Sampler, end: float) -> Piece:
    """A wall without windows."""
    grey, warm = sampler.between(90, 180), sampler.between(-5, 35)
    wall = colour(grey + warm, grey, grey - warm * 0.6)
    return Piece(
        end=end,
        kind="wall",
        height=sampler.between(0.9, 2.6),
        wall=wall,
        opening=wall * np.float32(0.85),
        roof=wall * np.float32(1.1),
        pitch=0.0,
        rough=0.05,
    )


def _fence(sampler: Sampler, end: float) -> Piece:
    """Bars with something dark or green between them."""
    grey, brown = sampler.between(60, 190), sampler.between(0, 40)
    bars = colour(grey + brown, grey, grey - brown)
    behind = colour(85, 95, 70) * np.float32(sampler.between(0.6, 1.1))
    return Piece(
        end=end,
        kind="fence",
        height=sampler.between(0.9, 2.0),
        wall=bars,
        opening=behind,
        roof=bars,
        pitch=sampler.between(0.25, 0.7),
        storey=sampler.between(1.3, 2.6),
    )


def _nothing(_dice: Sampler, end: float) -> Piece:
    return _open(end)
