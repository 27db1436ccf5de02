"""One scene: a street drawn at random, painted from far to near, seen through a camera with noise."""

import numpy as np
from jaxtyping import Float, UInt8

from evo_qnas.data.images import IGNORE
from evo_qnas.data.streets.backdrop import paint_distance, paint_sky
from evo_qnas.data.streets.camera import draw_camera
from evo_qnas.data.streets.canvas import Canvas
from evo_qnas.data.streets.fronts import paint_fronts
from evo_qnas.data.streets.ground import paint_ground
from evo_qnas.data.streets.houses import draw_fences, draw_houses
from evo_qnas.data.streets.layout import Layout, draw_layout
from evo_qnas.data.streets.light import Light, draw_light
from evo_qnas.data.streets.materials import class_of
from evo_qnas.data.streets.painting import paint_all
from evo_qnas.data.streets.sampler import Sampler
from evo_qnas.data.streets.textures import TILE, WRAP, tile
from evo_qnas.data.streets.traffic import draw_traffic
from evo_qnas.data.streets.walkways import draw_gardens, draw_walkways

_GRAIN = np.zeros(256, dtype=np.float32)
for _name, _strength in (("vegetation", 34), ("terrain", 10), ("person", 10), ("rider", 10), ("car", 7), ("bus", 7)):
    _GRAIN[class_of(_name)] = _strength


def draw_scene(
    rng: np.random.Generator, size: tuple[int, int]
) -> tuple[UInt8[np.ndarray, "3 h w"], UInt8[np.ndarray, "h w"]]:
    """A street scene and its labels: the 19 classes of Cityscapes, and `IGNORE` for the camera's own car.

    Only additions, multiplications, divisions and comparisons of drawn numbers are used, which give the same result on
    every machine.

    Args:
        rng: decides everything.
        size: (height, width), pixels.
    """
    sampler = Sampler(rng)
    light, layout = draw_light(sampler), draw_layout(sampler)
    canvas = Canvas(
        camera=draw_camera(sampler, *size),
        colours=np.empty((*size, 3), dtype=np.float32),
        labels=np.empty(size, dtype=np.uint8),
        haze=light.haze,
        thickness=light.thickness,
    )
    paint_sky(canvas, light, sampler)
    paint_ground(canvas, layout, light, sampler)
    paint_distance(canvas, layout, sampler)
    _paint_sides(canvas, layout, light, sampler)
    paint_all(canvas, draw_traffic(layout, sampler, light) + draw_walkways(layout, sampler))
    if sampler.chance(0.3):
        _paint_hood(canvas, sampler)
    return _photographed(canvas, light, sampler).transpose(2, 0, 1).copy(), canvas.labels


def _paint_sides(canvas: Canvas, layout: Layout, light: Light, sampler: Sampler) -> None:
    """Houses, what grows before them, and fences."""
    houses = [draw_houses(layout, sampler) for _ in range(2)]
    paint_fronts(canvas, (layout.left.front, houses[0]), (layout.right.front, houses[1]), light)
    paint_all(canvas, draw_gardens(layout, sampler))
    fences = [draw_fences(layout, side, sampler) for side in (layout.left, layout.right)]
    if max(map(len, fences)) > 1:
        paint_fronts(canvas, (layout.left.walk, fences[0]), (layout.right.walk, fences[1]), light)


def _paint_hood(canvas: Canvas, sampler: Sampler) -> None:
    """The front of the camera's own car at the lower edge, which has no class."""
    camera = canvas.camera
    high, middle = camera.height * sampler.between(0.04, 0.14), camera.width * sampler.around(0.5, 0.05)
    away = (np.arange(camera.width) - middle) * (2.0 / camera.width)
    first = max(0, int(camera.height - high))
    shown = np.arange(first, camera.height)[:, None] >= camera.height - high * (1 - away * away)
    grey = np.float32(sampler.between(20, 150))
    np.copyto(canvas.colours[first:], grey, where=shown[..., None])
    np.copyto(canvas.labels[first:], np.uint8(IGNORE), where=shown)


def _photographed(canvas: Canvas, light: Light, sampler: Sampler) -> UInt8[np.ndarray, "h w 3"]:
    """Leaves get grain, the light its tint, the lens its blur, the sensor its noise."""
    picture, (height, width) = canvas.colours, canvas.labels.shape
    rows, columns = (
        (np.arange(length) * (TILE / 2 / height) * 4 + sampler.between(0, TILE)).astype(np.intp) & WRAP
        for length in (height, width)
    )
    grain = tile()[rows[:, None], columns] * _GRAIN[canvas.labels]
    picture = _blurred((picture + grain[..., None]) * light.tint)
    noise = np.frombuffer(sampler.rng.bytes(picture.size), dtype=np.uint8).reshape(picture.shape)
    picture += noise * np.float32(light.noise / 74) - np.float32(light.noise * 127.5 / 74)
    return np.asarray(np.minimum(np.maximum(picture, 0), 255).astype(np.uint8))


def _blurred(picture: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Each pixel with a little of its neighbours."""
    soft = picture * np.float32(0.7)
    soft[:, 1:-1] += (picture[:, :-2] + picture[:, 2:]) * np.float32(0.15)
    soft[:, :: max(1, soft.shape[1] - 1)] += picture[:, :: max(1, soft.shape[1] - 1)] * np.float32(0.3)
    picture = soft * np.float32(0.7)
    picture[1:-1] += (soft[:-2] + soft[2:]) * np.float32(0.15)
    picture[:: max(1, len(soft) - 1)] += soft[:: max(1, len(soft) - 1)] * np.float32(0.3)
    return picture
