"""Marginal gain per block: the gain of the next step up in one block, and the saving of the next step down."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import BLACK, BLUE, ORANGE, Axis, new_figure, plain, tidy
from evo_qnas.plots.front import nonempty_front
from evo_qnas.plots.subject import Subject
from evo_qnas.problem import Problem

# A change of cost below this is rounding.
_MOST_LEFT = 1e-12


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """The best change of one gene (a block, or tied blocks) of a network; both objectives minimised.

    Attributes:
        rate: change of quality per unit of cost, at least 0; NaN where there is no such step.
        cost: change of cost.
        quality: change of quality.
        genome: (blocks,) the network after the step.
    """

    rate: float
    cost: float
    quality: float
    genome: tuple[int, ...]


def steps_of(
    problem: Problem, genome: Int[np.ndarray, " blocks"], *, quality: int, cost: int
) -> list[tuple[str, Step, Step]]:
    """Per gene its name, the best step that saves cost, and the best step that spends it, all else unchanged.

    The best saving step loses least quality per unit of cost saved; the best spending step gains most quality per unit
    spent. On sums these are the exchange rates at which Lagrange multipliers would trade the blocks.

    Args:
        problem: evaluates the neighbours.
        genome: the network to start from.
        quality: index of the objective that is traded.
        cost: index of the objective that it is traded for.
    """
    space = problem.space
    start = space.encode(genome[None])
    here = problem.evaluate(genome[None])[0][0]
    steps = []
    for index, gene in enumerate(space.genes):
        if len(gene.options) < 2:
            continue
        genes = np.repeat(start, len(gene.options), axis=0)
        genes[:, index] = np.arange(len(gene.options))
        genomes = space.decode(genes)
        change = problem.evaluate(genomes)[0] - here
        name = " + ".join(space.blocks[block] for block in gene.blocks)
        steps.append((name, *_best_steps(genomes, change[:, quality], change[:, cost])))
    return steps


def _best_steps(
    genomes: Int[np.ndarray, "n blocks"], quality: Float[np.ndarray, " n"], cost: Float[np.ndarray, " n"]
) -> tuple[Step, Step]:
    """The best saving and the best spending step."""
    down, up = np.flatnonzero(cost < -_MOST_LEFT), np.flatnonzero((cost > _MOST_LEFT) & (quality < 0))
    steps = []
    for rows, pick in ((down, np.argmin), (up, np.argmax)):
        rates = quality[rows] / -cost[rows]
        if not len(rows) or not np.isfinite(rates).any():
            steps.append(Step(rate=np.nan, cost=np.nan, quality=np.nan, genome=()))
            continue
        best = rows[int(pick(np.where(np.isfinite(rates), rates, np.inf if pick is np.argmin else -np.inf)))]
        steps.append(
            Step(
                rate=float(quality[best] / -cost[best]),
                cost=float(cost[best]),
                quality=float(quality[best]),
                genome=tuple(int(value) for value in genomes[best]),
            )
        )
    return steps[0], steps[1]


def draw_gain(subject: Subject, *, at: int | None = None) -> Any:
    """A figure: per block how much of the first objective one unit of the second buys, and how much a saved one costs.

    Args:
        subject: what to draw.
        at: which network of the front, by its row; None takes the knee.

    Raises:
        PictureError: the problem cannot be evaluated from the file, has one objective, or the row is not there.
    """
    front = nonempty_front(subject)
    infos = subject.archive.header.objectives
    if subject.problem is None or len(infos) < 2:
        raise PictureError(
            f"the gain per block of {subject.name} cannot be worked out: it needs two objectives over tables that the "
            "archive holds, without functions of your own"
        )
    if at is not None and not 0 <= at < len(front):
        raise PictureError(f"--at {at}: the front of {subject.name} has the rows 0 .. {len(front) - 1}")
    row = _knee(front * subject.signs) if at is None else at
    steps = steps_of(subject.problem, subject.archive.front.genomes[row], quality=0, cost=1)
    axes = [Axis.of(info, front[:, column]) for column, info in enumerate(infos[:2])]
    values = [f"{front[row, i] / axes[i].divisor:.4g}" for i in range(2)]
    short = [plain(info.name.removesuffix("_bytes").replace("_", " ")) for info in infos[:2]]
    unit = axes[1].label.partition(" (")[0].removeprefix(short[1]).strip(", ") or short[1]
    title = f"{plain(subject.name)}: network {row} of the front ({short[0]} {values[0]}, {short[1]} {values[1]} {unit})"
    figure = new_figure(8.5, 1.6 + 0.26 * len(steps), title)
    panel = figure.subplots()
    rates = np.array([[up.rate, down.rate] for _, down, up in steps]).T * (axes[1].divisor / axes[0].divisor)
    places = np.arange(len(steps))
    panel.barh(places - 0.19, rates[0], height=0.36, color=BLUE, label=f"gained by the best step up, per {unit} spent")
    panel.barh(
        places + 0.19,
        rates[1],
        height=0.36,
        color=ORANGE,
        hatch="//",
        edgecolor="white",
        label=f"lost by the best step down, per {unit} saved",
    )
    for row, (words, shift) in enumerate((("no step up", -0.19), ("no step down", 0.19))):
        for place in places[np.isnan(rates[row])]:
            panel.annotate(f" {words}", (0, place + shift), fontsize=6.5, va="center", color=BLACK)
    panel.set_yticks(places, [plain(name) for name, _, _ in steps], fontsize=8)
    panel.invert_yaxis()
    below = "; below 0: better in both, worse in another objective" if (rates < 0).any() else ""
    panel.set_xlabel(f"{short[0]} per {unit} of {short[1]}, one block changed, all others kept{below}")
    tidy(panel)
    panel.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2)
    return figure


def _knee(points: Float[np.ndarray, "n m"]) -> int:
    """The row with the least sum of objectives, each scaled to the front's range."""
    low = points.min(axis=0)
    span = np.ptp(points, axis=0)
    return int(((points - low) / np.where(span > 0, span, 1.0)).sum(axis=1).argmin())
