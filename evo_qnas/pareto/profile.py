"""The profile of a problem before any search: its size, the ranges of its columns, which limits can be met."""

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto.reach import smallest_reachable
from evo_qnas.problem import Problem, space_of
from evo_qnas.spaces import Space
from evo_qnas.tables import Column, Tables


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """The values of networks in one column (or objective).

    Attributes:
        name: column name.
        unit: unit of the values.
        direction: `minimize` or `maximize`.
        low: smallest value.
        median: of the sampled networks.
        high: largest value.
        exact: True where `low` and `high` are those of all networks, not of the sampled ones.
        baselines: value of each named network.
    """

    name: str
    unit: str
    direction: str
    low: float
    median: float
    high: float
    exact: bool
    baselines: dict[str, float]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LimitProfile:
    """The reach of one limit.

    Attributes:
        text: the limit.
        alone: True where some network meets it; None where it is no sum and no sampled network does.
        reachable: the value that comes nearest to meeting it (smallest for <=, largest for >=); None where unknown.
        share: share of the sampled networks that meet it; None where it is slow to try.
    """

    text: str
    alone: bool | None
    reachable: float | None
    share: float | None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The facts known before a search.

    Attributes:
        networks: number of networks of the space.
        blocks: number of blocks.
        decisions: number of free decisions, after ties and pins.
        choices: smallest and largest number of options of a decision.
        columns: the values of networks.
        limits: the reach of each limit.
        together: True where one network meets all limits; None where it is not known.
        reason: why the limits cannot be met, empty where they can.
        samples: number of networks drawn uniformly, for medians and shares.
        seed: of the draw.
    """

    networks: int
    blocks: int
    decisions: int
    choices: tuple[int, int]
    columns: tuple[ColumnProfile, ...]
    limits: tuple[LimitProfile, ...]
    together: bool | None
    reason: str
    samples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values; NaN is None."""
        values = asdict(self)
        for column in values["columns"]:
            for key in ("low", "median", "high"):
                column[key] = column[key] if np.isfinite(column[key]) else None
            column["baselines"] = {k: v if np.isfinite(v) else None for k, v in column["baselines"].items()}
        return values

    def text(self) -> str:
        """A few lines for people."""
        size = f"{self.networks:,}" if self.networks < 10**12 else _powers(self.networks)
        low, high = self.choices
        lines = [
            f"{size} networks: {self.blocks} blocks, {self.decisions} decisions of "
            + (f"{low} options" if low == high else f"{low} to {high} options"),
            f"medians and shares: {self.samples:,} networks drawn uniformly, seed {self.seed}",
            "",
        ]
        everyone = list(self.columns[0].baselines) if self.columns else []
        names = everyone[:_SHOWN]
        rows = [["column", "unit", "best is", "min", "median", "max", *names]]
        for column in self.columns:
            numbers = [column.low, column.median, column.high, *(column.baselines[name] for name in names)]
            rows.append([column.name, column.unit, _BEST[column.direction], *(f"{value:.6g}" for value in numbers)])
        lines += _aligned(rows)
        if any(not column.exact for column in self.columns):
            lines.append("min and max are those of the networks drawn")
        if len(everyone) > _SHOWN:
            lines.append(f"and {len(everyone) - _SHOWN} more baselines: {', '.join(everyone[_SHOWN:])}")
        lines += ["", *map(_limit_line, self.limits)] if self.limits else []
        if len(self.limits) > 1:
            lines.append(_TOGETHER[self.together])
        if self.reason:
            lines += ["", self.reason]
        return "\n".join(lines)


# Baselines that fit into a line of 120 characters.
_SHOWN = 3
_TOGETHER = {
    True: "one network can meet all limits",
    False: "no network meets all limits",
    None: "whether one network meets all limits is not known",
}
_BEST = {"minimize": "least", "maximize": "most"}


def _powers(size: int) -> str:
    """A huge number as a power of ten."""
    digits = str(size)
    return f"{digits[0]}.{digits[1:3]}e{len(digits) - 1}"


def _limit_line(limit: LimitProfile) -> str:
    """One limit in words."""
    answer = {True: "can be met", False: "cannot be met", None: "not known whether it can be met"}[limit.alone]
    parts = [f"{limit.text}: {answer}"]
    if limit.reachable is not None:
        parts.append(f"best reachable {limit.reachable:.6g}")
    if limit.share is not None:
        parts.append(f"met by {limit.share:.1%} of the networks drawn")
    return ", ".join(parts)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows as text columns; text left, numbers right."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]

    def line(row: list[str]) -> str:
        cells = zip(row, widths, strict=True)
        parts = [cell.ljust(width) if at < 3 else cell.rjust(width) for at, (cell, width) in enumerate(cells)]
        return "  ".join(parts).rstrip()

    return [line(row) for row in rows]


def profile(problem: Problem | Tables, *, samples: int = 1000, seed: int = 0) -> Profile:
    """The profile of a problem, or of tables without limits.

    Smallest and largest sums are exact, and so is whether additive limits can be met, alone and together (integer
    programming); medians and shares come from networks drawn uniformly.

    Args:
        problem: a problem, or tables.
        samples: networks to draw.
        seed: of the draw.

    Raises:
        EvaluationError: a user's function fails on the networks drawn.

    Example:
        >>> from evo_qnas.problem import TableProblem
        >>> tables = Tables.from_arrays({"size_bytes": [np.array([4.0, 8.0])] * 3})
        >>> found = profile(TableProblem(tables, ["size_bytes"], ["size_bytes <= 10"]))
        >>> found.networks, found.columns[0].low, found.together, found.limits[0].reachable
        (8, 12.0, False, 12.0)
    """
    tables = problem if isinstance(problem, Tables) else problem.tables
    space = space_of(problem) if isinstance(problem, Tables) else problem.space
    genomes = space.sample(np.random.default_rng(seed), samples)
    columns: tuple[ColumnProfile, ...] = ()
    limits: tuple[LimitProfile, ...] = ()
    together: bool | None = True
    reason = ""
    if not isinstance(problem, Tables):
        values, excess = (None, None) if problem.slow else problem.evaluate(genomes)
        limits, together, reason = _limits(problem, excess)
        columns = _sampled(problem, values)
    if tables is not None:
        columns = tuple(_column(tables, column, space, genomes) for column in tables.columns.values())
    return Profile(
        networks=space.size,
        blocks=len(space.blocks),
        decisions=len(space.genes),
        choices=(int(space.counts.min()), int(space.counts.max())),
        columns=columns,
        limits=limits,
        together=together,
        reason=reason,
        samples=samples,
        seed=seed,
    )


def _column(tables: Tables, column: Column, space: Space, genomes: Int[np.ndarray, "n blocks"]) -> ColumnProfile:
    """Exact ends over all networks, the median over those drawn; choices without a number are left out."""
    lows, highs = [], []
    for gene in space.genes:
        members = np.stack([column.values[block][gene.options[:, m]] for m, block in enumerate(gene.blocks)])
        options = members.max(axis=0) if column.combine == "max" else members.sum(axis=0)
        usable = options[np.isfinite(options)]
        lows.append(float(usable.min()) if len(usable) else np.nan)
        highs.append(float(usable.max()) if len(usable) else np.nan)
    low, high = (float(column.total(np.array([ends]))[0]) for ends in (lows, highs))
    totals = tables.total(column.name, genomes)
    known = totals[np.isfinite(totals)]
    return ColumnProfile(
        name=column.name,
        unit=column.unit,
        direction=column.direction,
        low=low,
        median=float(np.median(known)) if len(known) else float("nan"),
        high=high,
        exact=True,
        baselines={
            name: float(tables.total(column.name, np.array([genome]))[0]) for name, genome in tables.baselines.items()
        },
    )


def _sampled(problem: Problem, values: Float[np.ndarray, "n m"] | None) -> tuple[ColumnProfile, ...]:
    """Objectives of a problem without tables, over the networks drawn."""
    profiles = []
    for index, info in enumerate(problem.objectives):
        drawn = np.empty(0) if values is None else values[:, index] * (-1.0 if info.maximize else 1.0)
        known = drawn[np.isfinite(drawn)]
        low, median, high = (
            (float(known.min()), float(np.median(known)), float(known.max())) if len(known) else (float("nan"),) * 3
        )
        profiles.append(
            ColumnProfile(
                name=info.name,
                unit=info.unit,
                direction="maximize" if info.maximize else "minimize",
                low=low,
                median=median,
                high=high,
                exact=False,
                baselines={},
            )
        )
    return tuple(profiles)


def _limits(
    problem: Problem, excess: Float[np.ndarray, "n k"] | None
) -> tuple[tuple[LimitProfile, ...], bool | None, str]:
    """Each limit, whether all can be met together, and why not."""
    additive = problem.additive_limits
    reach = smallest_reachable(additive) if additive is not None and len(additive.limit_names) else None
    places = {} if reach is None else {text: index for index, text in enumerate(reach.limit_names)}
    profiles = []
    for row, info in enumerate(problem.constraints):
        share = None if excess is None else float((excess[:, row] <= 0).mean())
        if reach is not None and info.name in places:
            alone: bool | None = bool(reach.alone[places[info.name]])
            nearest: float | None = float(reach.nearest[places[info.name]])
        else:
            alone, nearest = True if share else None, None
        profiles.append(LimitProfile(text=info.name, alone=alone, reachable=nearest, share=share))
    if reach is not None and not reach.together:
        return tuple(profiles), False, reach.reason
    drawn = excess is not None and bool((excess <= 0).all(axis=1).any())
    return tuple(profiles), True if drawn or len(places) == len(profiles) else None, ""
