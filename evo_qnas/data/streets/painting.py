"""Things as they are placed: what stands where, in which colours."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from evo_qnas.data.streets.canvas import Canvas, Palette, Sprite
from evo_qnas.data.streets.light import Light, colour
from evo_qnas.data.streets.materials import KINDS, Material, base_palette
from evo_qnas.data.streets.sampler import Number, Sampler
from evo_qnas.data.streets.vehicles import Vehicle

_PALETTE = base_palette()
_BODIES = (
    (225, 225, 225),
    (185, 187, 190),
    (125, 128, 132),
    (70, 72, 76),
    (28, 28, 32),
    (20, 22, 30),
    (125, 28, 30),
    (35, 55, 105),
    (60, 90, 130),
    (45, 75, 60),
    (165, 150, 120),
    (190, 120, 45),
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something to be painted in the order of its depth.

    Attributes:
        z: depth of its nearest part, metres.
        paint: paints it.
    """

    z: float
    paint: Callable[[Canvas], None]


def paint_all(canvas: Canvas, things: list[Thing]) -> None:
    """Paints the farthest first."""
    for thing in sorted(things, key=lambda t: -t.z):
        thing.paint(canvas)


def repainted(changes: dict[Material, tuple[Number, Number, Number]], gain: Number = 1.0) -> Palette:
    """The usual colours with changes, brighter or darker."""
    palette = _PALETTE.copy()
    for material, (red, green, blue) in changes.items():
        palette[material] = colour(red, green, blue)
    return palette * np.float32(gain)


def vehicle(kind: Vehicle, sampler: Sampler, light: Light, *, x: float, z: float, ahead: bool) -> Thing:
    """A vehicle whose middle drives at x and whose nearest end is at z; `ahead` shows its back.

    Args:
        kind: which.
        sampler: for its colour.
        light: for shadow and sides.
        x: of its middle, metres.
        z: of its nearest end, metres; may be behind the camera.
        ahead: it drives away from the camera.
    """
    body: tuple[Number, Number, Number] = sampler.one_of(_BODIES)
    if kind.kind in {"bus", "train"}:
        body = (sampler.between(40, 230), sampler.between(40, 230), sampler.between(40, 230))
    lamps = (185.0, 35.0, 32.0) if ahead else (235.0, 235.0, 220.0)
    changes = {Material.body: body, Material.lamp: lamps}
    end, flank = repainted(changes), repainted(changes, light.sides[0 if x < 0 else 1] * 0.88)

    paint = functools.partial(_paint_vehicle, kind=kind, end=end, flank=flank, x=x, z=z, ahead=ahead)
    return Thing(z=z, paint=paint)


def _paint_vehicle(
    canvas: Canvas, *, kind: Vehicle, end: Palette, flank: Palette, x: float, z: float, ahead: bool
) -> None:
    """Shadow, the side that is seen, and back or front."""
    width, height, length = kind.size
    if z > 1.0:
        canvas.shade(x=x, z=z - 0.2, size=(width, min(length, 1.4)), strength=0.5)
    if abs(x) > width / 2:
        near = x - width / 2 if x > 0 else x + width / 2
        side = kind.flank if ahead else kind.front_flank
        canvas.along(side, flank, KINDS[kind.kind], x=near, z=z, size=(length, height))
    if z > 1.0:
        face = kind.back if ahead else kind.front
        canvas.upright(face, end, KINDS[kind.kind], x=x, z=z, y=0.0, size=(width, height))


def standing(
    sprite: Sprite,
    kind: str,
    palette: Palette,
    *,
    x: float,
    z: float,
    size: tuple[float, float],
    y: float = 0.0,
    shadow: float = 0.0,
) -> Thing:
    """Something flat that faces the camera, with a shadow of a strength on the ground."""
    paint = functools.partial(
        _paint_standing, sprite=sprite, kind=kind, palette=palette, x=x, z=z, size=size, y=y, shadow=shadow
    )
    return Thing(z=z, paint=paint)


def _paint_standing(
    canvas: Canvas,
    *,
    sprite: Sprite,
    kind: str,
    palette: Palette,
    x: float,
    z: float,
    size: tuple[float, float],
    y: float,
    shadow: float,
) -> None:
    if shadow:
        canvas.shade(x=x, z=z, size=(size[0] * 0.6, 0.3), strength=shadow)
    canvas.upright(sprite, palette, KINDS[kind], x=x, z=z, y=y, size=size)


def dressed(sampler: Sampler) -> Palette:
    """Colours of someone's skin, hair and clothes, and of what is ridden."""
    skin, hair = sampler.between(0.45, 1.05), sampler.between(0.4, 3.2)
    return repainted(
        {
            Material.skin: (205 * skin, 158 * skin, 132 * skin),
            Material.hair: (50 * hair, 38 * hair, 30 * hair),
            Material.top: _cloth(sampler, 30, 190),
            Material.trousers: _cloth(sampler, 25, 110),
            Material.trim: _cloth(sampler, 25, 120),
            Material.frame: _cloth(sampler, 30, 150),
            Material.body: _cloth(sampler, 30, 160),
        }
    )


def _cloth(sampler: Sampler, low: Number, high: Number) -> tuple[Number, Number, Number]:
    """A colour of clothes or paint."""
    grey, swing = sampler.between(low, high), sampler.between(0, 60)
    return grey + sampler.around(0, swing), grey + sampler.around(0, swing), grey + sampler.around(0, swing)
