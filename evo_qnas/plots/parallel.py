"""Parallel coordinates: one vertical axis per objective, one line per network of the front."""

from typing import Any

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import BLACK, ORANGE, baseline_name, new_figure, plain, thin
from evo_qnas.plots.front import axes_of, nonempty_front
from evo_qnas.plots.subject import Subject

# More lines are a blur.
_MOST_LINES = 600
_DASHES = ("--", ":", "-.", (0, (5, 1)))


def draw_parallel(subject: Subject) -> Any:
    """A figure: every network of the front (at most 600, evenly spread) as a line, coloured by the first objective.

    Every axis has its better end at the bottom, so a line that runs low is good throughout.

    Raises:
        PictureError: there is one objective only, or the front is empty.
    """
    front = nonempty_front(subject)
    m = front.shape[1]
    if m < 2:
        raise PictureError(
            f"parallel coordinates need 2 or more objectives, {subject.name} has {m}: draw --kind convergence"
        )
    shown = front[thin(len(front), _MOST_LINES)]
    known = {name: values for name, values in subject.baselines.items() if np.isfinite(values).all()}
    low, high = _ends(np.concatenate([front, *(values[None] for values in known.values())]), subject.signs)
    count = f"{len(front):,}" if len(shown) == len(front) else f"{len(shown):,} of {len(front):,}"
    figure = new_figure(max(6.0, 2.0 * m), 4.6, f"{plain(subject.name)}: {count} networks of the front")
    panel = figure.subplots()
    _draw_lines(panel, (shown - low) / (high - low))
    for index, (name, values) in enumerate(known.items()):
        style = _DASHES[index % len(_DASHES)]
        label = baseline_name(name)
        panel.plot((values - low) / (high - low), color=ORANGE, linewidth=2.2, linestyle=style, label=label, zorder=4)
    _label(panel, subject, low, high)
    if known:
        panel.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 1.13))
    return figure


def _ends(
    values: Float[np.ndarray, "n m"], signs: Float[np.ndarray, " m"]
) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    """Per objective its best value, drawn at the bottom, and its worst, drawn at the top."""
    best = (values * signs).min(axis=0) * signs
    worst = (values * signs).max(axis=0) * signs
    return best, np.where(best == worst, best + 1.0, worst)


def _draw_lines(panel: Any, lines: Float[np.ndarray, "n m"]) -> None:
    """The lines as one collection, the first objective as colour."""
    from matplotlib.collections import LineCollection

    places = np.arange(lines.shape[1])
    segments = [np.column_stack([places, line]) for line in lines]
    alpha = float(np.clip(60 / max(len(lines), 1), 0.15, 0.9))
    panel.add_collection(LineCollection(segments, array=lines[:, 0], cmap="cividis", alpha=alpha, linewidths=0.9))


def _label(panel: Any, subject: Subject, low: np.ndarray, high: np.ndarray) -> None:
    """Axes with their names and the values at five heights."""
    panel.set_xlim(-0.3, len(low) - 0.4)
    panel.set_ylim(-0.04, 1.04)
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
    axes = axes_of(subject)
    panel.set_xticks(range(len(low)), [axis.label.replace(" (", "\n(") for axis in axes], fontsize=9, color=BLACK)
    panel.tick_params(length=0)
    for place, axis in enumerate(axes):
        panel.axvline(place, color=BLACK, linewidth=0.8, zorder=3)
        for height in (0.0, 0.25, 0.5, 0.75, 1.0):
            value = (low[place] + height * (high[place] - low[place])) / axis.divisor
            panel.annotate(
                f"{value:.4g}",
                (place, height),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                zorder=5,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
            )
