"""Sprites of what drives: back, front and side of cars, trucks, buses, trams; bicycles, motorcycles, riders."""

import functools
from dataclasses import dataclass
from typing import final

from evo_qnas.data.streets.canvas import Sprite
from evo_qnas.data.streets.drawing import Drawing
from evo_qnas.data.streets.materials import Material


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle:
    """A thing with a back, a front and sides.

    Attributes:
        kind: of `materials.KINDS`.
        size: (width, height, length), metres.
        back: sprite.
        front: sprite.
        side: sprite, its front to the right.
        flank: the same as seen beside the back: it joins the back without a slope.
        front_flank: the same as seen beside the front, which is to the left.
    """

    kind: str
    size: tuple[float, float, float]
    back: Sprite
    front: Sprite
    side: Sprite
    flank: Sprite
    front_flank: Sprite


def _car_end(*, back: bool, roof: float) -> Sprite:
    """Back or front of a car; the roof begins at `roof` of the width."""
    drawing = Drawing(48, 56).box(Material.tyre, 0.05, 0.7, 0.24, 1.0).box(Material.tyre, 0.76, 0.7, 0.95, 1.0)
    drawing.shape(Material.body, (roof, 0.02), (1 - roof, 0.02), (0.96, 0.45), (1.0, 0.85), (0.0, 0.85), (0.04, 0.45))
    drawing.shape(Material.glass, (roof + 0.03, 0.08), (0.97 - roof, 0.08), (0.88, 0.4), (0.12, 0.4))
    for left, right in ((0.02, 0.2), (0.8, 0.98)):
        drawing.box(Material.lamp, left, 0.48, right, 0.58)
    drawing.box(Material.trim, 0.03, 0.74, 0.97, 0.85)
    if back:
        return drawing.box(Material.plate, 0.36, 0.6, 0.64, 0.69).done()
    return drawing.box(Material.trim, 0.25, 0.5, 0.75, 0.6).box(Material.plate, 0.38, 0.72, 0.62, 0.8).done()


def _car_side(*, hood: float, tail: float) -> Sprite:
    """Side of a car, with shares of its length before the windscreen and behind the rear window."""
    drawing = Drawing(40, 110)
    drawing.shape(Material.body, (0.02, 0.45), (0.98, 0.5), (1.0, 0.8), (0.97, 0.86), (0.02, 0.86), (0.0, 0.8))
    drawing.shape(Material.body, (tail + 0.08, 0.02), (1 - hood - 0.14, 0.02), (1 - hood, 0.54), (tail, 0.54))
    drawing.shape(
        Material.glass, (tail + 0.1, 0.09), (1 - hood - 0.15, 0.09), (1 - hood - 0.03, 0.42), (tail + 0.04, 0.42)
    )
    middle = (tail + 1 - hood) / 2
    drawing.box(Material.body, middle - 0.015, 0.05, middle + 0.015, 0.46)
    for wheel in (0.2, 0.8):
        drawing.oval(Material.tyre, (wheel, 0.8), (0.075, 0.2)).oval(Material.rim, (wheel, 0.8), (0.042, 0.11))
    return drawing.box(Material.lamp, 0.0, 0.5, 0.03, 0.6).box(Material.trim, 0.28, 0.82, 0.72, 0.87).done()


def _box_end(*, glass: tuple[float, float], lamps: float, trim: float, doors: bool = False) -> Sprite:
    """Back or front of a bus, tram or truck: a box with a window between two heights."""
    drawing = Drawing(64, 52).box(Material.tyre, 0.06, 0.85, 0.24, 1.0).box(Material.tyre, 0.76, 0.85, 0.94, 1.0)
    drawing.box(Material.body, 0.0, 0.01, 1.0, 0.92).box(Material.trim, 0.0, trim, 1.0, 0.93)
    if glass[1] > glass[0]:
        drawing.box(Material.glass, 0.06, glass[0], 0.94, glass[1])
    if doors:
        drawing.box(Material.trim, 0.49, 0.04, 0.51, trim).box(Material.rim, 0.44, 0.3, 0.47, 0.6)
    for left, right in ((0.04, 0.2), (0.8, 0.96)):
        drawing.box(Material.lamp, left, lamps, right, lamps + 0.06)
    return drawing.box(Material.plate, 0.4, trim + 0.02, 0.6, trim + 0.06).done()


def _bus_side(*, windows: int, wheels: tuple[float, ...], doors: tuple[float, ...]) -> Sprite:
    """Side of a bus or tram."""
    drawing = Drawing(56, 200).box(Material.body, 0.0, 0.01, 1.0, 0.92).box(Material.trim, 0.0, 0.84, 1.0, 0.92)
    drawing.box(Material.glass, 0.01, 0.14, 0.99, 0.5)
    for number in range(1, windows):
        drawing.box(Material.trim, number / windows - 0.004, 0.14, number / windows + 0.004, 0.5)
    for door in doors:
        drawing.box(Material.glass, door, 0.14, door + 0.07, 0.85).box(
            Material.trim, door + 0.033, 0.14, door + 0.037, 0.85
        )
    for wheel in wheels:
        drawing.oval(Material.tyre, (wheel, 0.87), (0.035, 0.13)).oval(Material.rim, (wheel, 0.87), (0.018, 0.065))
    return drawing.done()


def _truck_side() -> Sprite:
    """Side of a truck: a box, a gap, a cab."""
    drawing = Drawing(56, 140).box(Material.body, 0.0, 0.01, 0.72, 0.78).box(Material.trim, 0.0, 0.78, 0.98, 0.88)
    drawing.shape(Material.rim, (0.76, 0.2), (0.93, 0.2), (0.99, 0.5), (1.0, 0.86), (0.76, 0.86))
    drawing.shape(Material.glass, (0.83, 0.26), (0.92, 0.26), (0.96, 0.5), (0.83, 0.5))
    for wheel in (0.14, 0.25, 0.88):
        drawing.oval(Material.tyre, (wheel, 0.86), (0.055, 0.14)).oval(Material.rim, (wheel, 0.86), (0.025, 0.06))
    return drawing.done()


@functools.cache
def vehicles() -> dict[str, tuple[Vehicle, ...]]:
    """Vehicles by kind."""
    cars = [
        ((1.8, 1.47, 4.3), 0.16, 0.24, 0.08),
        ((1.75, 1.5, 3.9), 0.14, 0.22, 0.01),
        ((1.85, 1.44, 4.7), 0.17, 0.27, 0.15),
        ((1.9, 1.72, 4.5), 0.1, 0.23, 0.01),
        ((1.95, 2.0, 5.0), 0.05, 0.14, -0.06),
    ]
    bus_back = _box_end(glass=(0.1, 0.4), lamps=0.72, trim=0.82)
    bus_front = _box_end(glass=(0.14, 0.58), lamps=0.74, trim=0.84)
    truck_back = _box_end(glass=(0.0, 0.0), lamps=0.84, trim=0.82, doors=True)
    truck_front = _box_end(glass=(0.34, 0.56), lamps=0.76, trim=0.84)
    tram = _box_end(glass=(0.12, 0.6), lamps=0.7, trim=0.86)
    bus_side = _bus_side(windows=7, wheels=(0.25, 0.78), doors=(0.1, 0.48, 0.9))
    tram_side = _bus_side(windows=16, wheels=(), doors=(0.12, 0.36, 0.6, 0.84))
    return {
        "car": tuple(
            Vehicle(
                kind="car",
                size=size,
                back=_car_end(back=True, roof=roof),
                front=_car_end(back=False, roof=roof),
                side=_car_side(hood=hood, tail=tail),
                flank=_car_side(hood=hood, tail=-0.08),
                front_flank=_car_side(hood=-0.14, tail=tail)[:, ::-1],
            )
            for size, roof, hood, tail in cars
        ),
        "truck": tuple(
            _boxed("truck", size, truck_back, truck_front, _truck_side()) for size in ((2.5, 3.4, 8.5), (2.2, 2.8, 6.5))
        ),
        "bus": (_boxed("bus", (2.55, 3.1, 12.0), bus_back, bus_front, bus_side),),
        "train": (_boxed("train", (2.5, 3.5, 27.0), tram, tram, tram_side),),
    }


def _boxed(kind: str, size: tuple[float, float, float], back: Sprite, front: Sprite, side: Sprite) -> Vehicle:
    """A vehicle with upright ends."""
    return Vehicle(kind=kind, size=size, back=back, front=front, side=side, flank=side, front_flank=side[:, ::-1])


def _bicycle(drawing: Drawing, *, thick: float = 0.025) -> Drawing:
    """A bicycle from the side in the lower part of a drawing, its front to the right."""
    for wheel in (0.24, 0.76):
        drawing.oval(Material.tyre, (wheel, 0.79), (0.22, 0.2), hole=0.78)
    corners = ((0.24, 0.79), (0.47, 0.79), (0.4, 0.55), (0.68, 0.56))
    for start, end in ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3)):
        drawing.bar(Material.frame, corners[start], corners[end], thick)
    drawing.bar(Material.frame, (0.66, 0.47), (0.76, 0.79), thick)
    return drawing.bar(Material.frame, (0.36, 0.52), (0.46, 0.52), thick * 1.8).bar(
        Material.frame, (0.62, 0.46), (0.72, 0.47), thick
    )


def _motorcycle(drawing: Drawing) -> Drawing:
    """A motorcycle from the side in the lower part of a drawing, its front to the right."""
    for wheel in (0.2, 0.8):
        drawing.oval(Material.tyre, (wheel, 0.82), (0.17, 0.17), hole=0.45)
    drawing.shape(Material.body, (0.18, 0.6), (0.72, 0.52), (0.76, 0.66), (0.6, 0.86), (0.32, 0.86))
    drawing.box(Material.trim, 0.3, 0.76, 0.62, 0.9).bar(Material.trim, (0.7, 0.5), (0.8, 0.82), 0.04)
    drawing.bar(Material.trim, (0.6, 0.44), (0.74, 0.5), 0.03)
    return drawing.shape(Material.trim, (0.14, 0.54), (0.5, 0.56), (0.5, 0.62), (0.16, 0.6)).box(
        Material.lamp, 0.74, 0.54, 0.8, 0.6
    )


def _sitting(drawing: Drawing, *, seat: float, lean: float) -> Drawing:
    """Someone on a saddle, seen from the side."""
    drawing.bar(Material.trousers, (seat, 0.5), (seat + 0.16, 0.63), 0.09).bar(
        Material.trousers, (seat + 0.16, 0.63), (seat + 0.1, 0.8), 0.07
    )
    drawing.bar(Material.shoes, (seat + 0.09, 0.82), (seat + 0.17, 0.82), 0.04)
    drawing.bar(Material.top, (seat, 0.47), (seat + lean, 0.22), 0.15)
    drawing.bar(Material.top, (seat + lean, 0.24), (seat + 0.26, 0.44), 0.05)
    drawing.oval(Material.skin, (seat + lean + 0.05, 0.1), (0.085, 0.075))
    return drawing.oval(Material.hair, (seat + lean + 0.03, 0.07), (0.09, 0.06))


def _from_behind(*, motor: bool, rider: bool) -> Sprite:
    """A bicycle or motorcycle seen from behind or from the front."""
    drawing = Drawing(64, 28)
    if rider:
        drawing.bar(Material.trousers, (0.3, 0.52), (0.26, 0.8), 0.09).bar(
            Material.trousers, (0.7, 0.52), (0.74, 0.8), 0.09
        )
        drawing.shape(Material.top, (0.26, 0.2), (0.74, 0.2), (0.7, 0.56), (0.3, 0.56))
        drawing.bar(Material.top, (0.24, 0.24), (0.1, 0.46), 0.06).bar(Material.top, (0.76, 0.24), (0.9, 0.46), 0.06)
        drawing.oval(Material.skin, (0.5, 0.11), (0.16, 0.09)).oval(Material.hair, (0.5, 0.08), (0.18, 0.07))
    if motor:
        drawing.box(Material.body, 0.28, 0.52, 0.72, 0.72).box(Material.tyre, 0.38, 0.66, 0.62, 1.0)
        return (
            drawing.box(Material.lamp, 0.4, 0.55, 0.6, 0.6)
            .box(Material.plate, 0.4, 0.63, 0.6, 0.68)
            .bar(Material.trim, (0.1, 0.48), (0.9, 0.48), 0.03)
            .done()
        )
    drawing.box(Material.tyre, 0.43, 0.62, 0.57, 1.0).bar(Material.frame, (0.12, 0.48), (0.88, 0.48), 0.025)
    return drawing.box(Material.lamp, 0.44, 0.58, 0.56, 0.62).bar(Material.frame, (0.5, 0.45), (0.5, 0.65), 0.05).done()


@functools.cache
def two_wheelers() -> dict[str, tuple[tuple[Sprite, tuple[float, float]], ...]]:
    """Sprites with (width, height) in metres by kind: some from the side, some from behind."""
    cycle, motor = Drawing(64, 64), Drawing(64, 80)
    ridden = _sitting(_bicycle(Drawing(72, 72)), seat=0.4, lean=0.14).done()
    driven = _sitting(_motorcycle(Drawing(72, 84)), seat=0.32, lean=0.1).done()
    parked = _bicycle(cycle).done()[28:]
    standing = _motorcycle(motor).done()[26:]
    return {
        "bicycle": (
            (parked, (1.75, 1.05)),
            (parked[:, ::-1], (1.75, 1.05)),
            (_from_behind(motor=False, rider=False)[28:], (0.6, 1.05)),
        ),
        "motorcycle": (
            (standing, (2.1, 1.15)),
            (standing[:, ::-1], (2.1, 1.15)),
            (_from_behind(motor=True, rider=False)[28:], (0.8, 1.15)),
        ),
        "rider on bicycle": (
            (ridden, (1.75, 1.78)),
            (ridden[:, ::-1], (1.75, 1.78)),
            (_from_behind(motor=False, rider=True), (0.72, 1.78)),
        ),
        "rider on motorcycle": (
            (driven, (2.1, 1.75)),
            (driven[:, ::-1], (2.1, 1.75)),
            (_from_behind(motor=True, rider=True), (0.85, 1.7)),
        ),
    }
