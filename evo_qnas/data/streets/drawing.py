"""Flat shapes on a grid of materials, from which sprites are drawn; positions are shares of width and height."""

from typing import final

import numpy as np
from jaxtyping import Bool, UInt8

from evo_qnas.data.streets.materials import Material

Point = tuple[float, float]


@final
class Drawing:
    """A sprite in the making; later shapes cover earlier ones."""

    def __init__(self, rows: int, columns: int) -> None:
        """Args: rows, columns: cells of the grid."""
        self.cells = np.zeros((rows, columns), dtype=np.uint8)
        self._across = ((np.arange(columns) + 0.5) / columns)[None, :]
        self._down = ((np.arange(rows) + 0.5) / rows)[:, None]

    def box(self, material: Material, left: float, top: float, right: float, bottom: float) -> "Drawing":
        """A rectangle."""
        inside = (self._across >= left) & (self._across < right) & (self._down >= top) & (self._down < bottom)
        return self._fill(material, inside)

    def oval(self, material: Material, middle: Point, radius: Point, *, hole: float = 0.0) -> "Drawing":
        """An ellipse, with a hole of a share of its radius."""
        away = ((self._across - middle[0]) / radius[0]) ** 2 + ((self._down - middle[1]) / radius[1]) ** 2
        return self._fill(material, (away <= 1.0) & (away >= hole * hole))

    def shape(self, material: Material, *corners: Point) -> "Drawing":
        """A convex polygon, corners clockwise on the screen."""
        inside = np.ones(self.cells.shape, dtype=np.bool_)
        for (x, y), (next_x, next_y) in zip(corners, (*corners[1:], corners[0]), strict=True):
            inside &= (next_x - x) * (self._down - y) - (next_y - y) * (self._across - x) >= 0
        return self._fill(material, inside)

    def bar(self, material: Material, start: Point, end: Point, thick: float) -> "Drawing":
        """A line from start to end, `thick` shares of the height wide."""
        ratio = self.cells.shape[1] / self.cells.shape[0]
        x, y = self._across * ratio, self._down
        ax, ay, bx, by = start[0] * ratio, start[1], end[0] * ratio, end[1]
        length = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0.0, 1.0)
        away = (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2
        return self._fill(material, away <= (thick / 2) ** 2)

    def _fill(self, material: Material, inside: Bool[np.ndarray, "rows columns"]) -> "Drawing":
        self.cells[inside] = material
        return self

    def done(self) -> UInt8[np.ndarray, "rows columns"]:
        """The sprite."""
        return self.cells
