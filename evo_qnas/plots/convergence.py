"""The course of a search: hypervolume and feasible networks against evaluations."""

from typing import Any

import numpy as np

from evo_qnas.errors import PictureError
from evo_qnas.pareto import hypervolume
from evo_qnas.plots.canvas import BLACK, BLUE, GREY, new_figure, plain, tidy
from evo_qnas.plots.subject import Subject


def draw_convergence(subject: Subject, *, exact: bool = True) -> Any:
    """A figure: hypervolume of the front so far, and the share of evaluations that met all limits.

    The hypervolume is a share of the exact front's where that is known and cheap, else of the final front's; objectives
    are scaled to the final front's range, the reference point is the archive's.

    Raises:
        PictureError: the archive holds no evaluation.
    """
    history = subject.archive.history
    if not len(history):
        raise PictureError(f"{subject.name} holds no evaluation yet")
    best = exact_volume(subject) if exact else None
    last = float(history.hypervolume[-1])
    whole, of = (best, "exact front's") if best is not None else (last, "final front's")
    figure = new_figure(
        7.0,
        4.4,
        f"{plain(subject.name)}: {plain(subject.archive.header.algorithm)}, {len(subject.archive):,} evaluations",
    )
    limits = bool(subject.archive.header.constraints)
    rows = figure.subplots(2 if limits else 1, 1, sharex=True, squeeze=False, height_ratios=[3, 1] if limits else [1])[
        :, 0
    ]
    share = history.hypervolume / (whole if whole > 0 else 1.0)
    rows[0].plot(history.evaluations, share, color=BLUE, linewidth=1.6, marker="o", markersize=2.5)
    rows[0].axhline(1.0, color=BLACK, linewidth=0.8, linestyle="--")
    rows[0].annotate(
        f"end: {share[-1]:.5f}",
        (history.evaluations[-1], share[-1]),
        xytext=(-4, -14),
        textcoords="offset points",
        ha="right",
        fontsize=8,
    )
    rows[0].set_ylabel(f"share of the {of}\nhypervolume")
    tidy(rows[0])
    if limits:
        rows[1].fill_between(history.evaluations, history.feasible / history.evaluations, color=GREY, alpha=0.4)
        rows[1].set_ylim(0, 1)
        rows[1].set_ylabel("feasible")
        tidy(rows[1])
    rows[-1].set_xlabel(
        f"evaluations (reference point {history.reference:g} in each objective scaled to the final front's range)"
    )
    return figure


def exact_volume(subject: Subject) -> float | None:
    """The exact front's hypervolume in the scale of the archive's history, None where the exact front is not known."""
    true = subject.exact()
    history = subject.archive.history
    if true is None or not np.isfinite(history.ideal).all():
        return None
    span = np.where(history.nadir > history.ideal, history.nadir - history.ideal, 1.0)
    scaled = (true * subject.signs - history.ideal) / span
    return hypervolume(scaled, np.full(scaled.shape[1], history.reference))
