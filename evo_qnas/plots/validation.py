"""Predicted against validated: the networks of a run, and how well the score orders them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import KIB, new_figure, plain, tidy
from evo_qnas.plots.measured import draw_measured, legend_below, name_networks
from evo_qnas.plots.subject import Subject
from evo_qnas.summary import Metric


def draw_validation(subject: Subject) -> Any:
    """A figure: the metric before and after fine-tuning against the predicted score, and against the size.

    Raises:
        PictureError: there is no `summary.json` beside the archive, or it lists no validated network.
    """
    summary = subject.summary
    networks: Sequence[Mapping[str, Any]] = () if summary is None else summary.get("networks", ())
    if summary is None or not networks:
        raise PictureError(
            f"{subject.name} holds no validated networks: give the folder of a finished run (with summary.json)"
        )
    try:
        return _draw(subject, summary, networks)
    except (KeyError, TypeError) as error:
        raise PictureError(f"the summary.json of {subject.name} lacks what a run writes: {error}") from error


def _draw(subject: Subject, summary: Mapping[str, Any], networks: Sequence[Mapping[str, Any]]) -> Any:
    """The figure of a complete summary."""
    metric = Metric.of(summary["metric"])
    score = np.array([entry["predicted"]["score"] for entry in networks], dtype=np.float64)
    size = np.array([entry["size_bytes"] for entry in networks], dtype=np.float64) / KIB
    figure = new_figure(10.0, 4.6, f"{plain(subject.name)}: predicted and validated")
    left, right = figure.subplots(1, 2)
    if len(subject.random):
        values = metric.factor * subject.random[:, 1]
        label = f"random networks, search images ({len(subject.random)})"
        look = {"s": 14, "color": "#A8A8A8", "marker": "x", "linewidths": 0.9}
        left.scatter(subject.random[:, 0], values, label=label, **look)
    int8 = summary.get("teacher_int8")
    teacher = {}
    if int8 is not None:
        at = {left: _int8_score(subject), right: int8["size_bytes"] / KIB}
        teacher = {panel: (x, float(int8["metric"])) for panel, x in at.items() if x is not None}
    for panel, x in ((left, score), (right, size)):
        draw_measured(panel, x, networks, metric, int8=teacher.get(panel))
        panel.set_ylabel(plain(metric.label(f"test {metric.name}")))
        tidy(panel)
        legend_below(panel)
    left.set_xscale("log")
    left.set_xlabel("score, predicted (less is better)")
    right.set_xlabel("size, KiB (less is better)")
    right.set_xlim(left=0)
    left.set_title(_correlation(summary.get("rank_correlation")), fontsize=9, loc="left")
    for panel, x in ((left, score), (right, size)):
        name_networks(panel, x, networks, metric, int8=teacher.get(panel))
    return figure


def _int8_score(subject: Subject) -> float | None:
    """The predicted score of the INT8 teacher; None where the tables do not have it."""
    tables = subject.tables
    if tables is None or "teacher_int8" not in tables.baselines or "score" not in tables.columns:
        return None
    return float(tables.total("score", np.array([tables.baselines["teacher_int8"]]))[0])


def _correlation(correlation: Mapping[str, Any] | None) -> str:
    """The rank correlation in words."""
    if correlation is None or correlation.get("kendall_tau") is None:
        return "score against metric"
    return (
        f"Kendall tau {correlation['kendall_tau']:.2f} (95 %: {correlation['low']:.2f} to {correlation['high']:.2f}) "
        f"over {correlation['networks']} random networks"
    )
