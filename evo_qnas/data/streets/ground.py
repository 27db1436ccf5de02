"""The ground: road with marks, sidewalks, grass, looked up by metres across from one small table per kind of row."""

import numpy as np
from jaxtyping import UInt8

from evo_qnas.data.streets.canvas import Canvas
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.light import Light, colour
from evo_qnas.data.streets.materials import class_of
from evo_qnas.data.streets.sampler import Sampler
from evo_qnas.data.streets.textures import WRAP, tile

# Metres to each side that the table of a street's cross-section holds, and its cells a metre.
_REACH = 24.0
_PER_METRE = 25
_CELLS = int(2 * _REACH * _PER_METRE)
_ROAD, _WALK, _GRASS, _MARK, _KERB, _RAIL, _PARKING, _GARDEN, _PATCH = range(9)
_DASH, _NO_DASH, _CROSSING, _ZEBRA = range(4)
_CLASS = np.array(
    [class_of(name) for name in ("road", "sidewalk", "terrain", "road", "sidewalk", "road", "road", "terrain", "road")],
    dtype=np.uint8,
)
# Grain of each kind of ground, in steps of 0..255.
_ROUGH = np.array([7, 10, 26, 6, 8, 6, 8, 26, 7], dtype=np.float32)


def paint_ground(canvas: Canvas, layout: Layout, light: Light, sampler: Sampler) -> None:
    """Paints everything below the horizon."""
    camera = canvas.camera
    first = max(0, int(camera.horizon + 1.0))
    below = np.arange(first, camera.height) + (0.5 - camera.horizon)
    depth = camera.focal * camera.above / below
    across = (np.arange(camera.width) + (0.5 - camera.centre)) * (_PER_METRE / camera.focal)
    position = across[None, :] * depth[:, None] + _REACH * _PER_METRE
    cell = np.minimum(np.maximum(position, 0), _CELLS - 1).astype(np.intp)
    kind = _tables(layout, sampler)[_kinds(depth, layout, sampler)[:, None], cell]
    canvas.labels[first:] = _CLASS[kind]
    noise = tile()[(depth * 19).astype(np.intp)[:, None] & WRAP, cell & WRAP] * _ROUGH[kind]
    if light.sun and light.shadow:
        shaded = position > (light.shadow + _REACH) * _PER_METRE
        noise -= np.float32(light.sun * 90) * (shaded if light.shadow > 0 else ~shaded)
    clear = (canvas.thickness / (depth + canvas.thickness)).astype(np.float32)[:, None, None]
    painted = _palette(sampler)[kind] + noise[..., None]
    canvas.colours[first:] = painted * clear + canvas.haze * (1 - clear)


def _kinds(depth: np.ndarray, layout: Layout, sampler: Sampler) -> np.ndarray:
    """The table that holds for each row."""
    offset, period = sampler.between(0, 9), sampler.one_of((6.0, 9.0, 12.0))
    kinds = np.where((depth + offset) % period < period * 0.45, _DASH, _NO_DASH)
    if layout.crossing is not None:
        near, far = layout.crossing
        if sampler.chance(0.6):
            kinds[(depth > near - 4.5) & (depth < near - 1.0)] = _ZEBRA
        kinds[(depth > near) & (depth < far)] = _CROSSING
    return kinds


def _tables(layout: Layout, sampler: Sampler) -> UInt8[np.ndarray, "4 cells"]:
    """Kind of ground by metres across, for rows with dashes, without, in a side street, and on a zebra crossing."""
    row = np.full(_CELLS, _GARDEN if sampler.chance(0.7) else _WALK, dtype=np.uint8)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        _beside(row, side, sign)
    left, right = -layout.left.kerb, layout.right.kerb
    row[_cells(left, right)] = _ROAD
    for edge, side in ((left, layout.left), (right, layout.right)):
        inner = edge + side.parking if edge < 0 else edge - side.parking
        if side.parking:
            row[_cells(min(edge, inner), max(edge, inner))] = _PARKING
        elif sampler.chance(0.4):
            row[_cells(inner - 0.25, inner - 0.1) if edge > 0 else _cells(inner + 0.1, inner + 0.25)] = _MARK
    patch = sampler.between(left, right - 1.0)
    row[_cells(patch, patch + sampler.between(0.3, 1.5))] = _PATCH
    if layout.rails is not None:
        for rail in (-0.72, 0.72):
            row[_cells(layout.rails + rail - 0.06, layout.rails + rail + 0.06)] = _RAIL
    dashed, plain = row.copy(), row
    for line, always in _lines(layout, sampler):
        dashed[_cells(line - 0.08, line + 0.08)] = _MARK
        if always:
            plain[_cells(line - 0.08, line + 0.08)] = _MARK
    crossing = np.full(_CELLS, _ROAD, dtype=np.uint8)
    zebra = plain.copy()
    inside = np.arange(_CELLS)[_cells(left, right)]
    zebra[inside] = np.where(inside % _PER_METRE < _PER_METRE // 2, _MARK, _ROAD)
    return np.stack([dashed, plain, crossing, zebra])


def _beside(row: UInt8[np.ndarray, " cells"], side: Side, sign: int) -> None:
    """Sidewalk, verge and kerb of one side."""
    for inner, outer, kind in (
        (side.verge, side.walk, _WALK),
        (side.kerb, side.verge, _GRASS),
        (side.kerb, side.kerb + 0.15, _KERB),
    ):
        row[_cells(inner, outer) if sign > 0 else _cells(-outer, -inner)] = kind


def _lines(layout: Layout, sampler: Sampler) -> list[tuple[float, bool]]:
    """Positions of the lines between lanes, and whether they are unbroken."""
    lines = [(lane - layout.lane / 2, False) for lane in (*layout.lanes[1:], *layout.oncoming[:-1])]
    if layout.oncoming and sampler.chance(0.75):
        lines.append((layout.lanes[0] - layout.lane / 2, sampler.chance(0.3)))
    return lines


def _cells(left: float, right: float) -> slice:
    """Cells of the table between two x."""
    return slice(*(int((min(max(x, -_REACH), _REACH) + _REACH) * _PER_METRE) for x in (left, right)))


def _palette(sampler: Sampler) -> np.ndarray:
    """Colour of each kind of ground."""
    road, walk = sampler.between(70, 130), sampler.between(95, 170)
    red = sampler.between(0, 30) if sampler.chance(0.3) else 0.0
    dry = sampler.between(-10, 45)
    mark = sampler.between(170, 235)
    grass = colour(75 + dry, 95 + dry * 0.6, 50 + dry * 0.3)
    return np.stack(
        [
            colour(road, road, road + 3),
            colour(walk + red, walk, walk - red * 0.6),
            grass,
            colour(mark, mark, mark - 8),
            colour(walk + 15, walk + 15, walk + 12),
            colour(road - 25, road - 30, road - 32),
            colour(road + sampler.around(0, 22), road, road),
            grass * np.float32(sampler.between(0.85, 1.1)),
            colour(road + 12, road + 12, road + 14) * np.float32(sampler.between(0.75, 1.15)),
        ]
    )
