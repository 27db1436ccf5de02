"""One way to draw validated networks: the metric before and after fine-tuning with its error, and the INT8 teacher."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from evo_qnas.plots.canvas import GREEN, GREY, ORANGE, baseline_marker
from evo_qnas.plots.labels import label_points
from evo_qnas.summary import Metric

BEFORE, AFTER, INT8 = "validated, before fine-tuning", "validated, after fine-tuning", "teacher INT8, same fine-tuning"


def draw_measured(
    panel: Any,
    x: Float[np.ndarray, " n"],
    networks: Sequence[Mapping[str, Any]],
    metric: Metric,
    *,
    int8: tuple[float, float] | None = None,
) -> None:
    """Draws the networks of a `summary.json` over `x`, with error bars.

    Args:
        panel: axes.
        x: of each network, NaN where it was not measured.
        networks: entries of the summary.
        metric: of the summary.
        int8: x and metric of the INT8 teacher.
    """
    before, after = (metric.factor * numbers_of(networks, key) for key in ("metric_before_finetune", "metric"))
    panel.vlines(x, before, after, color=GREY, linewidth=0.8, linestyle=":")
    panel.scatter(x, before, s=26, facecolors="white", edgecolors=GREY, label=BEFORE, zorder=3)
    errors, words = errors_of(networks)
    if errors is not None:
        label = f"± standard error{words}"
        bars = {"fmt": "none", "ecolor": GREEN, "elinewidth": 1.0, "capsize": 2.5, "zorder": 3.5}
        panel.errorbar(x, after, yerr=metric.factor * errors, label=label, **bars)
    panel.scatter(x, after, s=38, color=GREEN, label=AFTER, zorder=4)
    if int8 is not None:
        y = metric.factor * int8[1]
        panel.axhline(y, color=ORANGE, linewidth=0.8, linestyle="--", alpha=0.7)
        marker = baseline_marker("teacher_int8")
        panel.scatter([int8[0]], [y], s=52, marker=marker, color=ORANGE, label=INT8, zorder=5)


def name_networks(
    panel: Any,
    x: Float[np.ndarray, " n"],
    networks: Sequence[Mapping[str, Any]],
    metric: Metric,
    *,
    int8: tuple[float, float] | None = None,
) -> None:
    """Writes the ids of the networks beside what `draw_measured` drew; the panel's limits must be set."""
    before, after = (metric.factor * numbers_of(networks, key) for key in ("metric_before_finetune", "metric"))
    others = np.column_stack([x, before])
    if int8 is not None:
        others = np.concatenate([others, [[int8[0], metric.factor * int8[1]]]])
    errors, _ = errors_of(networks)
    bars = None if errors is None else metric.factor * errors
    ids = [str(entry["id"]) for entry in networks]
    label_points(panel, np.column_stack([x, after]), ids, bars=bars, others=others)


def errors_of(networks: Sequence[Mapping[str, Any]]) -> tuple[Float[np.ndarray, " n"] | None, str]:
    """Standard errors of the differences from the INT8 teacher, or of the metrics alone, and which in words."""
    paired = [(entry.get("minus_teacher_int8") or {}).get("stderr") for entry in networks]
    alone = [entry.get("metric_stderr") for entry in networks]
    for errors, words in ((paired, " of the difference from INT8"), (alone, "")):
        if networks and all(error is not None for error in errors):
            return np.array(errors, dtype=np.float64), words
    return None, ""


def numbers_of(networks: Sequence[Mapping[str, Any]], key: str) -> Float[np.ndarray, " n"]:
    """A value of each network, NaN where the run did not measure it."""
    return np.array([np.nan if entry[key] is None else entry[key] for entry in networks], dtype=np.float64)


def legend_below(panel: Any, columns: int = 2) -> None:
    """A legend below the panel: inside, any corner may hold a network."""
    panel.legend(
        frameon=False,
        fontsize=8,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=columns,
        columnspacing=0.8,
        handletextpad=0.2,
    )
