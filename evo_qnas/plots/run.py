"""The picture of a run: what the search predicted, and what validation measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from evo_qnas.pareto import share_text
from evo_qnas.plots.canvas import (
    BLUE,
    GREEN,
    GREY,
    KIB,
    ORANGE,
    baseline_marker,
    baseline_name,
    new_figure,
    plain,
    save,
    tidy,
)
from evo_qnas.plots.measured import draw_measured, legend_below, name_networks, numbers_of
from evo_qnas.summary import Metric
from evo_qnas.tables import Tables

_SIZE, _LATENCY = "size, KiB (less is better)", "latency, ms an image, one thread (less is better)"


def plot_run(summary: Mapping[str, Any], tables: Tables, front: Int[np.ndarray, "n blocks"], path: Path) -> None:
    """Two panels over size: the front's predicted score, and the test metric before and after fine-tuning.

    Args:
        summary: content of `summary.json`.
        tables: with the columns `score` and `size_bytes`.
        front: genomes of the front.
        path: PNG, SVG or PDF, by its ending.
    """
    timed = any(entry["latency_ms"] is not None for entry in summary["networks"])
    share = summary["search"]["hypervolume_share"]
    note = f", {share_text(share)} of the exact front's hypervolume" if share is not None else ""
    title = f"{plain(summary['card'])}: {summary['search']['front']} networks on the front{note}"
    figure = new_figure(15.0 if timed else 10.0, 4.6, title)
    panels = list(figure.subplots(1, 3 if timed else 2))
    _draw_predicted(panels[0], summary, tables, front)
    costs = [("size_bytes", float(KIB), _SIZE), ("latency_ms", 1.0, _LATENCY)][: len(panels) - 1]
    for panel, (cost, unit, label) in zip(panels[1:], costs, strict=True):
        _draw_cost(panel, summary, cost, unit)
        panel.set_xlabel(label)
    panels[0].set_xlabel(_SIZE)
    for panel in panels:
        tidy(panel)
        legend_below(panel)
        panel.set_xlim(0, 1.03 * panel.get_xlim()[1])
    for panel, (cost, unit, _) in zip(panels[1:], costs, strict=True):
        metric, x = Metric.of(summary["metric"]), numbers_of(summary["networks"], cost) / unit
        name_networks(panel, x, summary["networks"], metric, int8=_int8(summary, cost, unit))
    save(figure, path)


def _draw_predicted(panel: Any, summary: Mapping[str, Any], tables: Tables, front: np.ndarray) -> None:
    """The search's view: score against size."""
    size, score = tables.total("size_bytes", front) / KIB, tables.total("score", front)
    order = np.argsort(size)
    panel.plot(size[order], score[order], color=BLUE, linewidth=1.4, label=f"front ({len(front):,})")
    picks = summary["networks"]
    panel.scatter(
        [entry["predicted"]["size_bytes"] / KIB for entry in picks],
        [entry["predicted"]["score"] for entry in picks],
        s=52,
        facecolors="none",
        edgecolors=GREEN,
        linewidths=1.4,
        zorder=3,
        label="validated",
    )
    for name, genome in tables.baselines.items():
        row = np.array([genome])
        x, y = tables.total("size_bytes", row)[0] / KIB, tables.total("score", row)[0]
        look = {"marker": baseline_marker(name, tables.baselines), "s": 52, "color": ORANGE, "zorder": 4}
        panel.scatter([x], [y], label=baseline_name(name), **look)
    panel.set_yscale("log")
    panel.set_ylabel("score, predicted (less is better)")
    panel.set_title("search", fontsize=10, loc="left")


# Per cost what Lu et al. 2023 saved of it.
_SAVED = {"size_bytes": (0.67, "33 % smaller"), "latency_ms": (0.824, "17.6 % faster")}


def _draw_cost(panel: Any, summary: Mapping[str, Any], cost: str, unit: float) -> None:
    """Validation's view: the metric on the test split against a cost."""
    metric = Metric.of(summary["metric"])
    known = _int8(summary, cost, unit)
    draw_measured(panel, numbers_of(summary["networks"], cost) / unit, summary["networks"], metric, int8=known)
    if known is not None:
        share, words = _SAVED[cost]
        panel.axvline(known[0] * share, color=GREY, linewidth=0.8, linestyle=":")
        # Above the panel, where no point is.
        where = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points"}
        panel.annotate(words, (known[0] * share, 1.0), fontsize=8, ha="center", color=GREY, **where)
    panel.set_ylabel(metric.label(f"test {plain(metric.name)}"))
    panel.set_title("validation", fontsize=10, loc="left")


def _int8(summary: Mapping[str, Any], cost: str, unit: float) -> tuple[float, float] | None:
    """Cost and metric of the INT8 teacher; None where they were not measured."""
    int8 = summary["teacher_int8"]
    return None if int8 is None or int8[cost] is None else (int8[cost] / unit, float(int8["metric"]))
