"""The front of an archive in two or three objectives, with baselines and the exact front."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Axis,
    baseline_marker,
    baseline_name,
    new_figure,
    plain,
    thin,
    tidy,
)
from evo_qnas.plots.subject import Subject, rows_of

# Costs across, the first objective up, as in every picture of a front.
_PAIRS = ((1, 0), (2, 0), (2, 1))
# From a ratio of largest to smallest value of two decades on, an axis is logarithmic.
_DECADES = 100


def draw_front(subject: Subject, *, exact: bool = True) -> Any:
    """A figure: one panel for two objectives; for three, one per pair, coloured by the third.

    Evaluated networks are grey, the front blue, baselines orange, the exact front (where it is known and cheap) black.

    Args:
        subject: what to draw.
        exact: find the exact front where that is cheap.

    Raises:
        PictureError: there are not two or three objectives, or the front is empty.
    """
    archive = subject.archive
    infos = archive.header.objectives
    if len(infos) not in (2, 3):
        way = "draw --kind convergence" if len(infos) == 1 else "draw --kind parallel"
        raise PictureError(f"a front is drawn in 2 or 3 objectives, {subject.name} has {len(infos)}: {way}")
    front = nonempty_front(subject)
    axes = axes_of(subject)
    true = subject.exact() if exact else None
    title = f"{plain(subject.name)}: {len(front):,} networks on the front of {len(archive):,} evaluations"
    if len(infos) == 2:
        figure = new_figure(7.0, 4.6, title)
        _draw_pair(figure.subplots(), subject, axes, (1, 0), true)
        return figure
    figure = new_figure(11.5, 4.6, title)
    for index, (panel, pair) in enumerate(zip(figure.subplots(1, 3), _PAIRS, strict=True)):
        third = next(column for column in range(3) if column not in pair)
        _draw_third(panel, subject, axes, pair, third=third, true=true)
        if index == 0:
            panel.legend(frameon=False, fontsize=8)
    return figure


def nonempty_front(subject: Subject) -> Float[np.ndarray, "n m"]:
    """The front's objectives.

    Raises:
        PictureError: no evaluated network met all limits.
    """
    values = subject.archive.front.objectives
    if not len(values):
        raise PictureError(f"the front of {subject.name} is empty: no evaluated network meets all limits")
    return values


def axes_of(subject: Subject) -> list[Axis]:
    """One axis per objective."""
    values = subject.archive.front.objectives
    return [Axis.of(info, values[:, i]) for i, info in enumerate(subject.archive.header.objectives)]


def along(subject: Subject) -> tuple[Int[np.ndarray, " n"], str]:
    """The front's networks from small to large, and in which objective: the second one, or the only one."""
    infos = subject.archive.header.objectives
    column = min(1, len(infos) - 1)
    order = np.argsort(subject.archive.front.objectives[:, column], kind="stable")
    return order, infos[column].name


def stairs(
    points: Float[np.ndarray, "n 2"], signs: Sequence[float] | Float[np.ndarray, " 2"]
) -> Float[np.ndarray, "s 2"]:
    """The corners of what a two-objective front does not dominate, in drawing order.

    Args:
        points: a front, each objective in its own direction.
        signs: -1 where an objective is maximised.

    Example:
        >>> stairs(np.array([[1.0, 5.0], [2.0, 3.0]]), (1.0, 1.0)).tolist()
        [[1.0, 5.0], [2.0, 5.0], [2.0, 3.0]]
    """
    ordered = points[np.argsort(points[:, 0] * signs[0], kind="stable")]
    corners = np.repeat(ordered, 2, axis=0)[1:]
    corners[::2] = ordered
    corners[1::2, 0], corners[1::2, 1] = ordered[1:, 0], ordered[:-1, 1]
    return corners


def spans_decades(subject: Subject, column: int) -> bool:
    """True for an objective that is positive, and a hundred times larger at one end of the front than at the other."""
    values = subject.archive.front.objectives[:, column]
    known = [baseline[column] for baseline in subject.baselines.values() if np.isfinite(baseline[column])]
    return bool(min([*known, values.min()]) > 0 and values.max() > _DECADES * values.min())


def _draw_pair(panel: Any, subject: Subject, axes: list[Axis], pair: tuple[int, int], true: np.ndarray | None) -> None:
    """The panel of two objectives."""
    scale = np.array([axes[column].divisor for column in pair])
    front = subject.archive.front.objectives[:, pair] / scale
    _draw_evaluated(panel, subject, pair, scale, front)
    if true is not None:
        line = stairs(true[thin(len(true))][:, pair], subject.signs[list(pair)]) / scale
        panel.plot(*line.T, color=BLACK, linewidth=0.9, label=f"exact front ({len(true):,})", zorder=2)
    else:
        panel.plot(*stairs(front, subject.signs[list(pair)]).T, color=BLUE, linewidth=0.7, alpha=0.6, zorder=2)
    panel.scatter(*front.T, s=13, color=BLUE, linewidths=0, label=f"front ({len(front):,})", zorder=3)
    _draw_known(panel, subject, pair, scale)
    _finish(panel, subject, axes, pair)
    panel.legend(frameon=False, fontsize=8)


def _draw_third(
    panel: Any, subject: Subject, axes: list[Axis], pair: tuple[int, int], *, third: int, true: np.ndarray | None
) -> None:
    """The panel of two objectives of three, coloured by the third."""
    scale = np.array([axes[column].divisor for column in pair])
    front = subject.archive.front.objectives
    if true is not None:
        points = true[thin(len(true))][:, pair] / scale
        panel.scatter(*points.T, s=3, color="#C8C8C8", linewidths=0, label="exact front")
    order = np.argsort(-front[:, third] * subject.signs[third], kind="stable")
    colours = front[order, third] / axes[third].divisor
    points = front[order][:, pair] / scale
    norm = "log" if spans_decades(subject, third) else "linear"
    dots = panel.scatter(*points.T, s=11, c=colours, cmap="cividis", norm=norm, linewidths=0, zorder=3, label="front")
    panel.figure.colorbar(dots, ax=panel, location="bottom", label=axes[third].label, aspect=30)
    _draw_known(panel, subject, pair, scale)
    _finish(panel, subject, axes, pair)


def _draw_evaluated(panel: Any, subject: Subject, pair: tuple[int, int], scale: np.ndarray, front: np.ndarray) -> None:
    """Other feasible networks that were tried, near enough to the front to be of interest."""
    archive = subject.archive
    values = archive.objectives[archive.evaluations.feasible][:, pair] / scale
    low, high = front.min(axis=0), front.max(axis=0)
    margin = np.where(high > low, high - low, 1.0) * 0.25
    values = values[((values >= low - margin) & (values <= high + margin)).all(axis=1)]
    values = values[thin(len(values))]
    panel.scatter(*values.T, s=4, color="#BDBDBD", linewidths=0, label="evaluated", zorder=1, rasterized=True)


def _draw_known(panel: Any, subject: Subject, pair: tuple[int, int], scale: np.ndarray) -> None:
    """Validated networks and baselines."""
    archive = subject.archive
    rows = [row for genome in subject.validated_genomes().values() for row in rows_of(archive.front.genomes, genome)]
    if rows:
        picked = archive.front.objectives[rows][:, pair] / scale
        panel.scatter(*picked.T, s=52, facecolors="none", edgecolors=GREEN, linewidths=1.4, label="validated", zorder=4)
    for name, values in subject.baselines.items():
        point = values[list(pair)] / scale
        if np.isfinite(point).all():
            marker = baseline_marker(name, subject.baselines)
            label = baseline_name(name)
            panel.scatter(
                *point[:, None],
                s=52,
                marker=marker,
                color=ORANGE,
                edgecolors="white",
                linewidths=0.6,
                label=label,
                zorder=5,
            )


def _finish(panel: Any, subject: Subject, axes: list[Axis], pair: tuple[int, int]) -> None:
    """Labels; a logarithmic axis where the front spans more than two decades."""
    tidy(panel)
    for column, name in zip(pair, ("x", "y"), strict=True):
        if spans_decades(subject, column):
            panel.set(**{f"{name}scale": "log"})
    panel.set_xlabel(axes[pair[0]].label, color=BLACK)
    panel.set_ylabel(axes[pair[1]].label, color=BLACK)
    panel.tick_params(colors=GREY, labelcolor=BLACK)
