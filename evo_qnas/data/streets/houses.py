"""Which houses, hedges, walls and fences line a street."""

import numpy as np

from evo_qnas.data.streets.dice import Dice
from evo_qnas.data.streets.fronts import Piece
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.light import Colour, colour

_BLACK = colour(0, 0, 0)
_START = 1.0


def draw_houses(layout: Layout, dice: Dice) -> list[Piece]:
    """The line of houses on one side, with gaps, trees and the side street."""
    pieces: list[Piece] = []
    depth, town = _START, dice.between(5.0, 16.0)
    wooded = dice.chance(0.2)
    while depth < layout.end:
        depth = min(depth + dice.between(6.0, 22.0), layout.end)
        if dice.chance(0.75 if wooded else 0.12):
            pieces.append(_hedge(dice, depth, dice.between(3.0, 9.0)))
        else:
            pieces.append(_house(dice, depth, max(3.2, dice.around(town, 5.0))))
        if dice.chance(0.3) and depth < layout.end - 12:
            depth += dice.between(1.5, 5.0)
            pieces.append(_open(depth, gap=True))
    return [*_with_crossing(pieces, layout), _open(1e9)]


def draw_fences(layout: Layout, side: Side, dice: Dice) -> list[Piece]:
    """Low walls, fences and hedges between sidewalk and gardens; nothing where houses stand at the sidewalk."""
    pieces: list[Piece] = []
    depth = _START
    if side.front - side.walk > 1.0:
        while depth < layout.end:
            depth += dice.between(4.0, 20.0)
            pieces.append(dice.one_of((_fence, _wall, _low_hedge, _nothing, _fence, _wall))(dice, depth))
    return [*_with_crossing(pieces, layout), _open(1e9)]


def _with_crossing(pieces: list[Piece], layout: Layout) -> list[Piece]:
    """The pieces with the side street cut out; behind it, the near wall of the next house is seen."""
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


def _house(dice: Dice, end: float, height: float) -> Piece:
    """A house of any colour."""
    grey = dice.between(75, 205)
    warm, green = dice.between(-12, 45), dice.between(-8, 10)
    wall = colour(grey + warm, grey + green, grey - warm * 0.7)
    dark = dice.between(30, 90)
    shiny = dice.between(0, 40)
    return Piece(
        end=end,
        kind="building",
        height=height,
        wall=wall,
        opening=colour(dark, dark + shiny * 0.4, dark + shiny),
        roof=_roof(dice, wall),
        pitch=dice.between(1.6, 3.6) if dice.chance(0.92) else 0.0,
        storey=dice.between(2.7, 3.6),
        rough=dice.between(0.0, 0.25),
    )


def _roof(dice: Dice, wall: Colour) -> Colour:
    """Tiles, slate or no roof to be seen."""
    return dice.one_of((wall, colour(120, 65, 50), colour(70, 70, 78), wall * np.float32(0.8)))


def _hedge(dice: Dice, end: float, height: float) -> Piece:
    """Leaves from the ground on: a hedge, or the edge of a wood."""
    dry = dice.between(-15, 40)
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


def _low_hedge(dice: Dice, end: float) -> Piece:
    return _hedge(dice, end, dice.between(0.8, 2.0))


def _wall(dice: Dice, end: float) -> Piece:
    """A wall without windows."""
    grey, warm = dice.between(90, 180), dice.between(-5, 35)
    wall = colour(grey + warm, grey, grey - warm * 0.6)
    return Piece(
        end=end,
        kind="wall",
        height=dice.between(0.9, 2.6),
        wall=wall,
        opening=wall * np.float32(0.85),
        roof=wall * np.float32(1.1),
        pitch=0.0,
        rough=0.05,
    )


def _fence(dice: Dice, end: float) -> Piece:
    """Bars with something dark or green between them."""
    grey, brown = dice.between(60, 190), dice.between(0, 40)
    bars = colour(grey + brown, grey, grey - brown)
    behind = colour(85, 95, 70) * np.float32(dice.between(0.6, 1.1))
    return Piece(
        end=end,
        kind="fence",
        height=dice.between(0.9, 2.0),
        wall=bars,
        opening=behind,
        roof=bars,
        pitch=dice.between(0.25, 0.7),
        storey=dice.between(1.3, 2.6),
    )


def _nothing(_dice: Dice, end: float) -> Piece:
    return _open(end)
