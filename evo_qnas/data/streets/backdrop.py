"""Sky, and what closes the view at the end of the street."""

import numpy as np

from evo_qnas.data.streets.canvas import Canvas
from evo_qnas.data.streets.layout import Layout
from evo_qnas.data.streets.light import Light, colour
from evo_qnas.data.streets.materials import class_of
from evo_qnas.data.streets.sampler import Sampler
from evo_qnas.data.streets.textures import TILE, WRAP, tile


def paint_sky(canvas: Canvas, light: Light, sampler: Sampler) -> None:
    """Paints the whole picture as sky: from the zenith's colour to the haze, with clouds."""
    camera = canvas.camera
    cells = TILE * 0.6 / camera.height
    rows = (np.arange(camera.height) * (cells * 2) + sampler.between(0, TILE)).astype(np.intp) & WRAP
    columns = (np.arange(camera.width) * cells + sampler.between(0, TILE)).astype(np.intp) & WRAP
    down = (np.arange(camera.height, dtype=np.float32) / np.float32(max(camera.horizon, 1.0))).clip(0, 1)[:, None, None]
    canvas.colours[:] = light.zenith * (1 - down) + light.haze * down
    canvas.colours[:] += (np.maximum(tile()[rows[:, None], columns], 0) * np.float32(light.clouds))[..., None]
    canvas.labels[:] = class_of("sky")


def paint_distance(canvas: Canvas, layout: Layout, sampler: Sampler) -> None:
    """Paints trees and houses on the horizon, as far away as the street reaches."""
    camera = canvas.camera
    along = (np.arange(camera.width) - camera.centre) * (layout.end / camera.focal)
    block = sampler.between(8.0, 20.0)
    lots = (along / block).astype(np.intp) + sampler.whole(0, TILE)
    town = tile()[lots & WRAP, sampler.whole(0, TILE - 1)]
    crowns = tile()[(along * 3).astype(np.intp) & WRAP, sampler.whole(0, TILE - 1)]
    houses = town > sampler.between(-0.5, 0.5)
    base = sampler.between(3.0, 9.0)
    tall = np.where(houses, base * (1.3 + town), base * (0.8 + 0.5 * crowns)).clip(0.5, 30.0)
    top = camera.horizon - (tall - camera.above) * (camera.focal / layout.end)
    first, last = max(0, int(top.min())), min(camera.height, int(camera.horizon + 2))
    if first >= last:
        return
    shown = np.arange(first, last)[:, None] + 0.5 >= top
    grey, dry = sampler.between(90, 170), sampler.between(-10, 30)
    colours = np.where(houses[:, None], colour(grey + 8, grey, grey - 8), colour(70 + dry, 88 + dry * 0.5, 55))
    colours = colours + (crowns * 14)[:, None]
    part = np.float32(layout.end / (layout.end + canvas.thickness))
    hazed = (colours * (1 - part) + canvas.haze * part).astype(np.float32)
    np.copyto(canvas.colours[first:last], hazed, where=shown[..., None])
    kinds = np.where(houses, class_of("building"), class_of("vegetation")).astype(np.uint8)
    np.copyto(canvas.labels[first:last], kinds, where=shown)
