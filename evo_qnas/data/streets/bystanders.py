"""Sprites of what stands or walks beside the road: people, trees, signs, lights, lamps."""

import functools

import numpy as np

from evo_qnas.data.streets.canvas import Sprite
from evo_qnas.data.streets.drawing import Drawing
from evo_qnas.data.streets.materials import Material


def _person(*, stride: float, side: bool, bag: bool, skirt: bool) -> Sprite:
    """Someone upright: legs `stride` apart, seen from the side or from before or behind."""
    drawing = Drawing(80, 36)
    drawing.bar(Material.trousers, (0.46, 0.5), (0.46 - stride, 0.94), 0.085).bar(
        Material.trousers, (0.54, 0.5), (0.54 + stride, 0.94), 0.085
    )
    for foot in (0.46 - stride, 0.54 + stride):
        drawing.bar(Material.shoes, (foot - 0.03, 0.97), (foot + 0.07, 0.97), 0.04)
    half = 0.15 if side else 0.24
    drawing.shape(
        Material.top, (0.5 - half, 0.18), (0.5 + half, 0.18), (0.5 + half * 0.85, 0.55), (0.5 - half * 0.85, 0.55)
    )
    if skirt:
        drawing.shape(Material.top, (0.4, 0.4), (0.6, 0.4), (0.74, 0.74), (0.26, 0.74))
    arms = ((0.5, 0.5 + stride), (0.5, 0.5 - stride)) if side else ((0.26, 0.18), (0.74, 0.82))
    for shoulder, hand in arms:
        drawing.bar(Material.top, (shoulder, 0.22), (hand, 0.48), 0.055).bar(
            Material.skin, (hand, 0.49), (hand, 0.51), 0.04
        )
    drawing.box(Material.skin, 0.44, 0.13, 0.56, 0.19).oval(Material.skin, (0.5, 0.085), (0.15, 0.075))
    drawing.oval(Material.hair, (0.48, 0.06), (0.16, 0.055))
    if bag:
        drawing.box(Material.trim, 0.5 - half - 0.1, 0.22, 0.5 - half + 0.1, 0.42)
    return drawing.done()


@functools.cache
def people() -> tuple[Sprite, ...]:
    """People as they walk and stand."""
    looks = [(0.02, False, False, False), (0.08, False, True, False), (0.04, False, False, True)]
    looks += [(stride, True, stride > 0.15, False) for stride in (0.06, 0.14, 0.2)] + [(0.1, True, False, True)]
    sprites = [_person(stride=stride, side=side, bag=bag, skirt=skirt) for stride, side, bag, skirt in looks]
    return (*sprites, *(np.ascontiguousarray(sprite[:, ::-1]) for sprite in sprites[3:]))


def _tree(rng: np.random.Generator, *, trunk: float, narrow: float) -> Sprite:
    """A crown of round clumps, lighter above, on a trunk that takes a share of the height."""
    drawing = Drawing(96, 72).box(Material.trunk, 0.46, 1 - trunk - 0.2, 0.54, 1.0)
    middle, half = (1 - trunk) / 2, (1 - trunk) / 2
    clumps = rng.random((46, 4))
    for x, y, size, shade in clumps.tolist():
        across, down = (2 * x - 1) * 0.36 * narrow, (2 * y - 1) * half * 0.76
        if (across / 0.36 / narrow) ** 2 + (down / half / 0.76) ** 2 > 1:
            continue
        radius = 0.07 + 0.07 * size
        dark = shade + 0.5 * down / half > 0.55
        drawing.oval(
            Material.dark_leaf if dark else Material.leaf, (0.5 + across, middle + down), (radius * 1.2, radius * 0.95)
        )
    return drawing.done()


@functools.cache
def trees() -> tuple[Sprite, ...]:
    """Trees, wide and narrow, and bushes."""
    rng = np.random.Generator(np.random.PCG64(7))
    looks = [(0.3, 1.0), (0.22, 1.1), (0.36, 0.9), (0.16, 0.6), (0.28, 0.75), (0.0, 1.15), (0.4, 1.1)]
    return tuple(_tree(rng, trunk=trunk, narrow=narrow) for trunk, narrow in looks)


@functools.cache
def signs() -> tuple[Sprite, ...]:
    """Faces of traffic signs: round, triangle, square, diamond, board."""
    return (
        Drawing(24, 24)
        .oval(Material.mark, (0.5, 0.5), (0.5, 0.5))
        .oval(Material.face, (0.5, 0.5), (0.34, 0.34))
        .done(),
        Drawing(24, 24)
        .shape(Material.mark, (0.5, 0.0), (1.0, 0.95), (0.0, 0.95))
        .shape(Material.face, (0.5, 0.3), (0.75, 0.8), (0.25, 0.8))
        .done(),
        Drawing(24, 24)
        .box(Material.mark, 0.0, 0.0, 1.0, 1.0)
        .shape(Material.face, (0.5, 0.2), (0.8, 0.8), (0.2, 0.8))
        .done(),
        Drawing(24, 24)
        .shape(Material.face, (0.5, 0.0), (1.0, 0.5), (0.5, 1.0), (0.0, 0.5))
        .shape(Material.mark, (0.5, 0.2), (0.8, 0.5), (0.5, 0.8), (0.2, 0.5))
        .done(),
        Drawing(20, 48)
        .box(Material.mark, 0.0, 0.0, 1.0, 1.0)
        .box(Material.face, 0.08, 0.25, 0.8, 0.4)
        .box(Material.face, 0.08, 0.6, 0.6, 0.75)
        .done(),
        Drawing(24, 24).oval(Material.mark, (0.5, 0.5), (0.5, 0.5)).box(Material.face, 0.18, 0.42, 0.82, 0.58).done(),
    )


@functools.cache
def signal() -> Sprite:
    """The box of a traffic light."""
    drawing = Drawing(42, 16).box(Material.box, 0.02, 0.0, 0.98, 1.0)
    for middle, lamp in ((0.2, Material.red), (0.5, Material.amber), (0.8, Material.green)):
        drawing.oval(lamp, (0.5, middle), (0.34, 0.13))
    return drawing.done()


@functools.cache
def back_of_signal() -> Sprite:
    """A traffic light seen from behind or aside."""
    return Drawing(42, 12).box(Material.box, 0.05, 0.0, 0.95, 1.0).done()


@functools.cache
def street_lamp() -> Sprite:
    """A lamp on a curved arm that reaches to the right."""
    drawing = Drawing(160, 44).shape(Material.pole, (0.08, 0.05), (0.13, 0.05), (0.15, 1.0), (0.06, 1.0))
    return (
        drawing.bar(Material.pole, (0.1, 0.055), (0.75, 0.015), 0.012)
        .box(Material.pole, 0.7, 0.003, 0.98, 0.024)
        .done()
    )


@functools.cache
def post() -> Sprite:
    """A plain upright pole."""
    return Drawing(16, 4).box(Material.pole, 0.0, 0.0, 1.0, 1.0).done()
