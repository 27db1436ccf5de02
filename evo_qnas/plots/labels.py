"""Names beside points, not over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from evo_qnas.plots.canvas import BLACK, GREY, plain

_SIZE = 7.0
# Centre of a name in its own widths and heights from the end of the point or of its bar; the later ones get a line.
_NEAR = ((0.55, 0.0), (-0.55, 0.0), (0.0, 0.7), (0.0, -0.7))
_FAR = tuple(
    (across, up) for up in (0.7, 1.9, 3.1, 4.3) for side in (1, -1) for across in (side * 0.6, side * 1.2, side * 1.8)
)
# Width of a letter in parts of the font's size; half the widths of a marker and of an error bar in points.
_LETTER, _MARKER, _BAR = 0.66, 4.5, 2.5
Box = tuple[float, float, float, float]


def label_points(
    panel: Any,
    points: Float[np.ndarray, "n 2"],
    texts: Sequence[str],
    *,
    bars: Float[np.ndarray, " n"] | None = None,
    others: Float[np.ndarray, "k 2"] | None = None,
) -> None:
    """Writes a name beside each point, at the nearest place that covers no point, bar, other name or edge.

    The limits of the panel must be set. A name for which there is no such place is left out.

    Args:
        panel: axes.
        points: in data coordinates; those that are not finite have no name.
        texts: one for each point.
        bars: half the height of each point's error bar.
        others: points without a name.
    """
    panel.figure.draw_without_rendering()  # places the panel
    known = np.isfinite(points).all(axis=1)
    scale = panel.figure.dpi / 72.0
    places = panel.transData.transform(points[known])
    half = np.full_like(places, _MARKER * scale)
    taken = [_box(place, size) for place, size in zip(places, half, strict=True)]
    if bars is not None:
        shift = np.column_stack([0.0 * bars[known], bars[known]])
        half[:, 1] = np.maximum(half[:, 1], (panel.transData.transform(points[known] + shift) - places)[:, 1])
        taken += [_box(place, np.array([_BAR * scale, far])) for place, far in zip(places, half[:, 1], strict=True)]
    if others is not None:
        rest = panel.transData.transform(others[np.isfinite(others).all(axis=1)])
        taken += [_box(place, np.full(2, _MARKER * scale)) for place in rest]
    for place, reach, text in zip(places, half, np.array(texts, dtype=object)[known], strict=True):
        size = np.array([_LETTER * len(text), 1.2]) * _SIZE * scale
        found = _free_place(place, reach, size, taken, panel.get_window_extent().extents)
        if found is not None:
            centre, far = found
            taken.append(_box(centre, size / 2))
            _write(panel, place, (centre - place) / scale, str(text), line=far)


def _free_place(
    place: Float[np.ndarray, " 2"],
    reach: Float[np.ndarray, " 2"],
    size: Float[np.ndarray, " 2"],
    taken: Sequence[Box],
    frame: Float[np.ndarray, " 4"],
) -> tuple[Float[np.ndarray, " 2"], bool] | None:
    """The centre of a name in pixels, and whether it is far from its point; None where there is no room."""
    for far, candidates in ((False, _NEAR), (True, _FAR)):
        for across, up in candidates:
            beyond = np.array([0.0 if far and up else np.sign(across) * reach[0], np.sign(up) * reach[1]])
            for sign in (1.0, -1.0) if far else (1.0,):
                centre = place + (np.array([across, up]) * size + beyond) * [1.0, sign]
                box = _box(centre, size / 2)
                inside = box[0] > frame[0] and box[1] > frame[1] and box[2] < frame[2] and box[3] < frame[3]
                if inside and not any(_overlap(box, other) for other in taken):
                    return centre, far
    return None


def _write(
    panel: Any, place: Float[np.ndarray, " 2"], offset: Float[np.ndarray, " 2"], text: str, *, line: bool
) -> None:
    where = {"xytext": tuple(offset), "textcoords": "offset points", "ha": "center", "va": "center"}
    at = panel.transData.inverted().transform(place)
    arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3} if line else None
    panel.annotate(plain(text), at, fontsize=_SIZE, color=BLACK, zorder=6, arrowprops=arrow, **where)


def _box(centre: Float[np.ndarray, " 2"], half: Float[np.ndarray, " 2"]) -> Box:
    """Left, lower, right and upper end."""
    (left, lower), (right, upper) = (centre - half).tolist(), (centre + half).tolist()
    return left, lower, right, upper


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
