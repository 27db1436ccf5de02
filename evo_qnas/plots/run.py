"""The picture of a run: what the search predicted, and what validation measured."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from evo_qnas.files import replacing
from evo_qnas.pareto import share_text
from evo_qnas.plots.canvas import BLUE, GREEN, KIB, ORANGE
from evo_qnas.summary import Metric
from evo_qnas.tables import Tables

_GREY = "#555555"


def plot_run(summary: Mapping[str, Any], tables: Tables, front: Int[np.ndarray, "n blocks"], path: Path) -> None:
    """Two panels over size: the front's predicted score, and the test metric before and after fine-tuning.

    Args:
        summary: content of `summary.json`.
        tables: with the columns `score` and `size_bytes`.
        front: genomes of the front.
        path: PNG, SVG or PDF, by its ending.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = bool(summary.get("searches")) and (summary["teacher_int8"] or {}).get("latency_ms") is not None
    figure = Figure(figsize=(15 if timed else 10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, 3 if timed else 2))
    _draw_predicted(panels[0], summary, tables, front)
    _draw_measured(panels[1], summary, "size_bytes")
    panels[0].set_xlabel("size of the packed network, KiB")
    panels[1].set_xlabel("size of the packed network, KiB")
    if timed:
        _draw_measured(panels[2], summary, "latency_ms")
        panels[2].set_xlabel("latency, ms an image, one thread")
    for panel in panels:
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(0, 1.03 * panel.get_xlim()[1])
    share = summary["search"]["hypervolume_share"]
    note = f", {share_text(share)} of the exact front's hypervolume" if share is not None else ""
    figure.suptitle(f"{summary['card']}: {summary['search']['front']} networks on the front{note}", fontsize=11)
    with replacing(path) as aside:
        figure.savefig(aside, dpi=150, format=path.suffix[1:])


def _draw_predicted(panel: Any, summary: Mapping[str, Any], tables: Tables, front: np.ndarray) -> None:
    """The search's view: score against size."""
    size, score = tables.total("size_bytes", front) / KIB, tables.total("score", front)
    order = np.argsort(size)
    panel.plot(size[order], score[order], color=BLUE, linewidth=1.4, label=f"front ({len(front)} networks)")
    picks = summary["networks"]
    panel.scatter(
        [entry["predicted"]["size_bytes"] / KIB for entry in picks],
        [entry["predicted"]["score"] for entry in picks],
        s=36,
        color=BLUE,
        zorder=3,
        label="validated",
    )
    for name, genome in tables.baselines.items():
        row = np.array([genome])
        x, y = tables.total("size_bytes", row)[0] / KIB, tables.total("score", row)[0]
        marker = "s" if name.endswith("8") else "D"
        panel.scatter([x], [y], marker=marker, s=48, color=ORANGE, zorder=4, label=name.replace("_", " "))
    panel.set_yscale("log")
    panel.set_ylabel("predicted noise-to-signal ratio (less is better)")
    panel.set_title("search", fontsize=10)
    panel.legend(frameon=False, fontsize=8)


# Per cost its unit in the picture, and what Lu et al. 2023 saved of it.
_SAVED = {"size_bytes": (KIB, 0.67, "33 % smaller"), "latency_ms": (1.0, 0.824, "17.6 % faster")}


def _draw_measured(panel: Any, summary: Mapping[str, Any], cost: str) -> None:
    """Validation's view: the metric on the test split against a cost."""
    unit, share, words = _SAVED[cost]
    metric = Metric.of(summary["metric"])
    picks = [entry for entry in summary["networks"] if entry[cost] is not None]
    size = np.array([entry[cost] for entry in picks]) / unit
    before = metric.factor * np.array([entry["metric_before_finetune"] for entry in picks])
    after = metric.factor * np.array([entry["metric"] for entry in picks])
    panel.vlines(size, before, after, color=_GREY, linewidth=0.8, alpha=0.6)
    panel.scatter(size, before, marker="o", s=30, facecolors="white", edgecolors=_GREY, label="before fine-tuning")
    panel.scatter(size, after, marker="o", s=40, color=GREEN, zorder=3, label="after fine-tuning")
    int8 = summary["teacher_int8"]
    if int8 is not None:
        x, y = int8[cost] / unit, metric.factor * int8["metric"]
        panel.scatter([x], [y], marker="s", s=52, color=ORANGE, zorder=4, label="teacher INT8, same fine-tuning")
        panel.axhline(y, color=ORANGE, linewidth=0.8, linestyle="--", alpha=0.7)
        panel.axvline(x * share, color=_GREY, linewidth=0.8, linestyle=":")
        panel.annotate(
            words, (x * (share + 0.01), 0.4), xycoords=("data", "axes fraction"), fontsize=8, rotation=90, ha="left"
        )
    panel.set_ylabel(metric.label(f"test {metric.name}"))
    panel.set_title("validation", fontsize=10)
    # Below the panel: inside, any corner may hold a network.
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 3}
    panel.legend(frameon=False, fontsize=8, **where, columnspacing=0.8, handletextpad=0.2)
