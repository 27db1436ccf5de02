"""A picture and its labels, painted from far to near."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, UInt8

from evo_qnas.data.streets.camera import Camera

Sprite = UInt8[np.ndarray, "_rows _columns"]
Palette = Float[np.ndarray, "materials 3"]
Classes = UInt8[np.ndarray, " materials"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """An image and its labels that are painted on, in place.

    Attributes:
        camera: places things.
        colours: (height, width, 3) float32, 0..255.
        labels: (height, width) uint8.
        haze: (3,) float32, the colour of what is far away.
        thickness: depth in metres at which half of the light is haze.
    """

    camera: Camera
    colours: Float[np.ndarray, "h w 3"]
    labels: UInt8[np.ndarray, "h w"]
    haze: Float[np.ndarray, "3"]
    thickness: float

    def hazed(self, palette: Palette, z: float) -> Palette:
        """Colours as they look from a depth."""
        part = np.float32(z / (z + self.thickness))
        return palette * (1 - part) + self.haze * part

    def upright(
        self,
        sprite: Sprite,
        palette: Palette,
        classes: Classes,
        *,
        x: float,
        z: float,
        y: float,
        size: tuple[float, float],
    ) -> None:
        """Paints a sprite that faces the camera.

        Args:
            sprite: material of each cell, 0 for none.
            palette: colour of each material.
            classes: class of each material.
            x: of its middle, metres.
            z: depth, metres.
            y: of its foot above the ground, metres.
            size: (width, height), metres.
        """
        camera = self.camera
        scale = camera.focal / z
        wide, high = size[0] * scale, size[1] * scale
        left, top = camera.column(x, z) - wide / 2, camera.row(y + size[1], z)
        columns, rows = (
            _cells(left, wide, camera.width, sprite.shape[1]),
            _cells(top, high, camera.height, sprite.shape[0]),
        )
        if columns is None or rows is None:
            return
        there = (slice(rows[0], rows[0] + len(rows[1])), slice(columns[0], columns[0] + len(columns[1])))
        self._put(sprite[rows[1][:, None], columns[1]], there, self.hazed(palette, z), classes)

    def along(
        self, sprite: Sprite, palette: Palette, classes: Classes, *, x: float, z: float, size: tuple[float, float]
    ) -> None:
        """Paints a sprite on an upright plane that runs ahead at x, from depth z on; its first column is nearest.

        Args:
            sprite: material of each cell, 0 for none.
            palette: colour of each material.
            classes: class of each material.
            x: of the plane, metres.
            z: where it begins, metres.
            size: (length, height), metres.
        """
        camera = self.camera
        ends = sorted((camera.column(x, max(z, 0.3)), camera.column(x, max(z + size[0], 0.4))))
        first, last = max(0, _first(ends[0])), min(camera.width, _first(ends[1]))
        if first >= last:
            return
        depth = camera.focal * x / (np.arange(first, last) + (0.5 - camera.centre))
        across = ((depth - z) * (sprite.shape[1] / size[0])).astype(np.intp)
        across = np.minimum(np.maximum(across, 0), sprite.shape[1] - 1)
        cells = (camera.above - size[1]) * camera.focal / depth + camera.horizon
        top, bottom = (
            max(0, int(cells.min())),
            min(camera.height, int((cells + size[1] * camera.focal / depth).max()) + 1),
        )
        if top >= bottom:
            return
        down = (np.arange(top, bottom)[:, None] + 0.5 - cells) * (depth * (sprite.shape[0] / (size[1] * camera.focal)))
        outside = (down < 0) | (down >= sprite.shape[0])
        down[outside] = 0
        patch = sprite[down.astype(np.intp), across]
        patch[outside] = 0
        there = (slice(top, bottom), slice(first, last))
        self._put(patch, there, self.hazed(palette, z + size[0] / 2), classes)

    def shade(self, *, x: float, z: float, size: tuple[float, float], strength: float) -> None:
        """Darkens the ground below a thing of a width and length, metres."""
        camera = self.camera
        top, bottom = _first(camera.row(0.0, z + size[1])), _first(camera.row(0.0, z))
        left, right = _first(camera.column(x - size[0] / 2, z)), _first(camera.column(x + size[0] / 2, z))
        self.colours[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] *= np.float32(1 - strength)

    def _put(self, patch: Sprite, there: tuple[slice, slice], palette: Palette, classes: Classes) -> None:
        """Paints materials; 0 lets through what is there."""
        shown = patch != 0
        np.copyto(self.labels[there], classes[patch], where=shown)
        np.copyto(self.colours[there], palette[patch], where=shown[..., None])


def _first(position: float) -> int:
    """The first pixel whose middle lies at or behind a position."""
    return int(-(-(position - 0.5) // 1))


def _cells(start: float, length: float, most: int, cells: int) -> tuple[int, np.ndarray] | None:
    """First pixel and, for each pixel, the cell of the sprite; None where nothing is visible."""
    first, last = max(0, _first(start)), min(most, _first(start + length))
    if first >= last:
        return None
    chosen = ((np.arange(first, last) + (0.5 - start)) * (cells / length)).astype(np.intp)
    return first, np.minimum(chosen, cells - 1)
