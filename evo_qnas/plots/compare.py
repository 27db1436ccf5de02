"""Pictures of a comparison: convergence, attainment surfaces, profiles, critical differences."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import moocore
import numpy as np
from jaxtyping import Float

from evo_qnas.compare import Comparison, runtimes
from evo_qnas.plots.canvas import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, check_format, new_figure, plain, save, tidy

_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY, BLACK, GREY, "#882255")
_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
# Missing hypervolume at the lower end of logarithmic axes.
_FLOOR = 1e-6
# Bands of more algorithms hide each other.
_MOST_SURFACES = 3
# Right and upper end of attainment pictures, a little beyond the reference front at 1.
_EDGE = 1.1


def plot_comparison(comparison: Comparison, folder: str | Path, *, file_format: str = "png") -> list[Path]:
    """Draws all pictures that the comparison allows, and gives their paths.

    `convergence` and `runtimes` always; `attainment` where a problem has two objectives; `profiles` for two algorithms
    and more; `ranks` for two algorithms and two problems and more.

    Args:
        comparison: at least one run.
        folder: where the pictures go.
        file_format: png, svg or pdf.

    Raises:
        PictureError: the format is unknown, or a file cannot be written.
    """
    place = Path(folder)
    check_format(place / f"x.{file_format}")
    figures = {
        "convergence": _convergence(comparison),
        "attainment": _attainment(comparison),
        "runtimes": draw_runtimes(comparison),
    }
    if len(comparison.entries) > 1:
        figures["profiles"] = _profiles(comparison)
        if comparison.ranks().problems > 1:
            figures["ranks"] = _ranks(comparison)
    drawn = []
    for name, figure in figures.items():
        if figure is not None:
            drawn.append(place / f"{name}.{file_format}")
            save(figure, drawn[-1])
    return drawn


def draw_runtimes(comparison: Comparison) -> Any:
    """A figure of the empirical distribution of target runtimes over all problems, see `evo_qnas.compare.runtimes`."""
    frame = runtimes(comparison)
    figure = new_figure(6.4, 4.4, "targets reached, over all problems and seeds")
    panel = figure.subplots()
    for entry in comparison.shown:
        here = frame[frame["algorithm"] == entry.name]
        if len(here):
            panel.plot(here["budget_share"], here["solved"], label=plain(entry.name), **_look(comparison, entry.name))
    panel.set_xlim(0, 1)
    panel.set_ylim(0, 1)
    panel.set_xlabel("evaluations, as a share of the budget")
    panel.set_ylabel("share of targets reached")
    panel.legend(frameon=False, fontsize=8)
    tidy(panel)
    return figure


def _look(comparison: Comparison, name: str) -> dict[str, Any]:
    """Colour and dashes of an algorithm, the same in every picture."""
    index = [entry.name for entry in comparison.shown].index(name)
    dashes = _DASHES[(index // len(_COLOURS) + index) % len(_DASHES)]
    return {"color": _COLOURS[index % len(_COLOURS)], "linestyle": dashes, "linewidth": 1.5}


def _grid(count: int, title: str) -> tuple[Any, list[Any]]:
    """A figure with `count` panels, at most four beside each other."""
    columns = min(count, 4)
    rows = math.ceil(count / columns)
    figure = new_figure(max(3.3 * columns, 5.0), 2.9 * rows + 0.7, title)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def _legend(figure: Any, panel: Any, columns: int = 6) -> None:
    """One legend below all panels."""
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def _missing(share: np.ndarray) -> np.ndarray:
    """The missing part of a share, not below the end of logarithmic axes."""
    missing: np.ndarray = np.maximum(1.0 - share, _FLOOR)
    return missing


def _convergence(comparison: Comparison) -> Any:
    """Missing hypervolume over evaluations: median, and the band between the quartiles."""
    figure, panels = _grid(
        len(comparison.cases),
        f"Share of the reference hypervolume still missing, median and quartiles; seeds: {len(comparison.seeds)}",
    )
    for panel, case in zip(panels, comparison.cases, strict=True):
        for entry in comparison.entries:
            ends, shares = comparison.curves(case.name, entry.name)
            if not len(shares):
                continue
            low, middle, high = (_missing(row) for row in np.percentile(shares, [75, 50, 25], axis=0))
            look = _look(comparison, entry.name)
            panel.plot(ends, middle, label=entry.name, **look)
            panel.fill_between(ends, low, high, color=look["color"], alpha=0.18, linewidth=0)
        panel.set_yscale("log")
        reference = "exact front" if comparison.references[case.name].exact else "best known front"
        panel.set_title(f"{plain(case.name)}\nagainst the {reference}", fontsize=9)
        panel.set_xlabel("evaluations", fontsize=8)
        panel.tick_params(which="both", labelsize=8)
        tidy(panel)
    _legend(figure, panels[0])
    return figure


def _shown(comparison: Comparison, case: str) -> list[str]:
    """The algorithms whose surfaces are drawn: all where they are few, else best, worst and the one tested against."""
    names = [entry.name for entry in comparison.entries if comparison.of(case, entry.name)]
    if len(names) <= _MOST_SURFACES:
        return names
    order = sorted(names, key=lambda name: -float(np.median(comparison.values(case, name))))
    chosen = {order[0], order[-1], comparison.against or order[len(order) // 2]}
    return [name for name in names if name in chosen]


def _attainment(comparison: Comparison) -> Any:
    """Attainment surfaces of the problems with two objectives; None where there are none."""
    cases = [case for case in comparison.cases if len(case.problem.objectives) == 2]
    if not cases:
        return None
    figure, panels = _grid(
        len(cases),
        f"Attained by half of {len(comparison.seeds)} runs (line), by one and by all (band); objectives scaled",
    )
    for panel, case in zip(panels, cases, strict=True):
        reference = comparison.references[case.name]
        front = _stairs(reference.scaled(reference.points))
        panel.plot(_AXIS, front, color=BLACK, linewidth=0.8, alpha=0.6, label="reference front")
        for name in _shown(comparison, case.name):
            best, middle, worst = _surfaces(comparison, case.name, name)
            look = _look(comparison, name)
            panel.plot(_AXIS, middle, label=name, **look)
            panel.fill_between(_AXIS, best, worst, color=look["color"], alpha=0.18, linewidth=0)
        first, second = (plain(info.name.rpartition(":")[2]) for info in (case.truth or case.problem).objectives)
        panel.set_title(plain(case.name), fontsize=9)
        panel.set_xlabel(first, fontsize=8)
        panel.set_ylabel(second, fontsize=8)
        panel.set(xlim=(-0.02, _EDGE), ylim=(-0.02, _EDGE))
        panel.tick_params(labelsize=8)
        panel.legend(frameon=False, fontsize=7)
        tidy(panel)
    return figure


_AXIS = np.linspace(0.0, _EDGE, 400)


def _surfaces(comparison: Comparison, case: str, entry: str) -> tuple[np.ndarray, ...]:
    """Heights over `_AXIS` that the best run, half of the runs, and all runs attain.

    Source: Grunert da Fonseca, Fonseca & Hall 2001 (attainment functions), through moocore.
    """
    reference, points, runs = comparison.references[case], [], []
    for number, result in enumerate(comparison.of(case, entry)):
        front = result.run.judged[result.run.front]
        front = reference.scaled(front[np.isfinite(front).all(axis=1)])
        points.append(front)
        runs.append(np.full(len(front), number))
    together = np.concatenate(points)
    if not len(together):
        return tuple(np.full(len(_AXIS), np.nan) for _ in range(3))
    attained = moocore.eaf(together, np.concatenate(runs), percentiles=[0, 50, 100])
    return tuple(_stairs(attained[attained[:, 2] == level, :2]) for level in (0, 50, 100))


def _stairs(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " x"]:
    """Over `_AXIS`, the smallest second objective of the points at or left of it; NaN where there is none."""
    heights = np.full(len(_AXIS), np.nan)
    if len(points):
        order = np.argsort(points[:, 0], kind="stable")
        lowest = np.minimum.accumulate(points[order, 1])
        place = np.searchsorted(points[order, 0], _AXIS, side="right") - 1
        heights[place >= 0] = lowest[place[place >= 0]]
    return heights


def _profiles(comparison: Comparison) -> Any:
    """Shares of all runs by their distance to the reference, and by the time until 99 % of it; over all problems."""
    figure = new_figure(9.5, 4.0, f"All runs; problems: {len(comparison.cases)}, seeds: {len(comparison.seeds)}")
    quality, speed = figure.subplots(1, 2)
    gaps = np.logspace(math.log10(_FLOOR), 0, 200)
    parts = np.linspace(0.0, 1.0, 201)
    for entry in comparison.entries:
        results = [result for case in comparison.cases for result in comparison.of(case.name, entry.name)]
        count = max(len(comparison.cases) * len(comparison.seeds), 1)
        missing = np.array([1.0 - result.quality.share for result in results])
        reached = np.array([r.quality.evaluations_to[1] / comparison.budget(r.run.case) for r in results])
        look = _look(comparison, entry.name)
        quality.plot(gaps, [(missing <= gap).sum() / count for gap in gaps], label=entry.name, **look)
        speed.plot(parts, [(reached <= part).sum() / count for part in parts], **look)
    quality.set(xscale="log", xlabel="hypervolume missing, at most", ylabel="share of all runs", ylim=(-0.02, 1.02))
    speed.set(xlabel="part of the evaluations until 99 % of the hypervolume", ylim=(-0.02, 1.02))
    for panel in (quality, speed):
        tidy(panel)
    _legend(figure, quality)
    return figure


def _ranks(comparison: Comparison) -> Any:
    """Average ranks on a line, with bars over those that do not differ (Demsar 2006)."""
    ranks = comparison.ranks()
    order = np.argsort(ranks.mean, kind="stable")
    names = [comparison.entries[index].name for index in order]
    means = ranks.mean[order]
    bars = _cliques(means, ranks.critical)
    half = (len(names) + 1) // 2
    figure = new_figure(8.0, 1.6 + 0.28 * half + 0.18 * len(bars), "")
    panel = figure.subplots()
    panel.axis("off")
    low, high = 1.0, float(len(names))
    top = 0.9 + 0.35 * len(bars)
    margin = 0.3 + 0.3 * (high - low)
    panel.set(xlim=(low - margin, high + margin), ylim=(-half + 0.5, top + 2.0))
    panel.plot([low, high], [top, top], color=BLACK, linewidth=1.0)
    for tick in range(1, len(names) + 1):
        panel.plot([tick, tick], [top, top + 0.15], color=BLACK, linewidth=1.0)
        panel.text(tick, top + 0.25, str(tick), ha="center", va="bottom", fontsize=8)
    panel.plot([low, low + ranks.critical], [top + 1.1, top + 1.1], color=ORANGE, linewidth=3.0)
    text = f"ranks further apart than {ranks.critical:.2f} differ at 5 %; bars: not shown to differ"
    panel.text(low, top + 1.35, text, ha="left", va="bottom", fontsize=8)
    for place, (name, mean) in enumerate(zip(names, means, strict=True)):
        left = place < half
        depth = -float(place if left else len(names) - 1 - place)
        end = low - 0.2 if left else high + 0.2
        panel.plot([mean, mean, end], [top, depth, depth], color=GREY, linewidth=0.8)
        label = f"{plain(name)}  {mean:.2f}" if left else f"{mean:.2f}  {plain(name)}"
        panel.text(
            end, depth, f"{label} " if left else f" {label}", ha="right" if left else "left", va="center", fontsize=9
        )
    for level, (start, stop) in enumerate(bars):
        height = top - 0.3 - 0.35 * level
        panel.plot([means[start] - 0.05, means[stop] + 0.05], [height, height], color=BLUE, linewidth=3.0)
    return figure


def _cliques(means: Sequence[float] | Float[np.ndarray, " n"], critical: float) -> list[tuple[int, int]]:
    """Largest groups of rising mean ranks that do not differ, as (first, last); those of one are left out.

    Example:
        >>> _cliques([1.0, 1.5, 3.0, 3.2], 1.0)
        [(0, 1), (2, 3)]
    """
    cliques: list[tuple[int, int]] = []
    for start in range(len(means)):
        stop = max(index for index in range(start, len(means)) if means[index] - means[start] <= critical)
        if stop > start and (not cliques or stop > cliques[-1][1]):
            cliques.append((start, stop))
    return cliques
