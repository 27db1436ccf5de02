"""Predicted against validated: the networks of a run, and how well the score orders them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import BLUE, GREEN, GREY, KIB, ORANGE, new_figure, plain, tidy
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
    before, after = (metric.factor * _numbers(networks, key) for key in ("metric_before_finetune", "metric"))
    figure = new_figure(10.0, 4.4, f"{plain(subject.name)}: predicted and validated")
    left, right = figure.subplots(1, 2)
    if len(subject.random):
        left.scatter(
            subject.random[:, 0],
            metric.factor * subject.random[:, 1],
            s=14,
            color="#A8A8A8",
            marker="x",
            linewidths=0.9,
            label=f"random networks on search images ({len(subject.random)})",
        )
    _draw_pairs(left, score, before, after)
    _draw_pairs(right, size, before, after)
    int8 = summary.get("teacher_int8")
    if int8 is not None:
        _draw_int8(left, right, subject, int8, metric.factor * float(int8["metric"]))
    left.set_xscale("log")
    left.set_xlabel("predicted score (noise-to-signal ratio, less is better)")
    right.set_xlabel("size of the packed network, KiB")
    right.set_xlim(left=0)
    for panel in (left, right):
        panel.set_ylabel(plain(metric.label(metric.name)))
        tidy(panel)
    left.set_title(_correlation(summary.get("rank_correlation")), fontsize=9)
    right.set_title(f"test {plain(metric.name)}", fontsize=9)
    # Below the panels: inside, any corner may hold a network.
    for panel in (left, right):
        panel.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    return figure


def _numbers(networks: Sequence[Mapping[str, Any]], key: str) -> np.ndarray:
    """A metric, NaN where the run did not measure it."""
    return np.array([np.nan if entry[key] is None else entry[key] for entry in networks], dtype=np.float64)


def _draw_pairs(panel: Any, x: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Before and after fine-tuning, joined."""
    panel.vlines(x, before, after, color=GREY, linewidth=0.8, alpha=0.6)
    panel.scatter(x, before, s=30, facecolors="white", edgecolors=BLUE, label="picks before fine-tuning", zorder=3)
    panel.scatter(x, after, s=38, color=GREEN, label="picks after fine-tuning", zorder=4)


def _draw_int8(left: Any, right: Any, subject: Subject, int8: Mapping[str, Any], y: float) -> None:
    """The INT8 teacher, fine-tuned under the same budget."""
    right.axhline(y, color=ORANGE, linewidth=0.8, linestyle="--", alpha=0.7)
    right.scatter(
        [int8["size_bytes"] / KIB],
        [y],
        s=52,
        marker="s",
        color=ORANGE,
        label="teacher INT8, same fine-tuning",
        zorder=5,
    )
    tables = subject.tables
    if tables is not None and "teacher_int8" in tables.baselines and "score" in tables.columns:
        predicted = tables.total("score", np.array([tables.baselines["teacher_int8"]]))
        left.scatter(predicted, [y], s=52, marker="s", color=ORANGE, label="teacher INT8", zorder=5)


def _correlation(correlation: Mapping[str, Any] | None) -> str:
    """The rank correlation in words."""
    if correlation is None or correlation.get("kendall_tau") is None:
        return "score against metric"
    return (
        f"Kendall tau {correlation['kendall_tau']:.2f} (95 %: {correlation['low']:.2f} to {correlation['high']:.2f}) "
        f"over {correlation['networks']} random networks"
    )
