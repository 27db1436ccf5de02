"""`Comparison`: every run's indicators, and the statistics over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from types import MappingProxyType
from typing import Any, final

import numpy as np
from jaxtyping import Float

from evo_qnas.compare.case import Case
from evo_qnas.compare.entries import Entry
from evo_qnas.compare.indicators import TARGETS, Quality, Reference, checkpoints
from evo_qnas.compare.runs import Run
from evo_qnas.compare.statistics import (
    ALPHA,
    Ranks,
    average_ranks,
    effect_word,
    holm,
    mann_whitney,
    settled,
    signed_rank_sum,
    vargha_delaney,
    wilcoxon,
)
from evo_qnas.frames import DataFrame, data_frame, html_table

INDICATORS: Mapping[str, bool] = MappingProxyType({"hypervolume_share": True, "epsilon": False, "igd_plus": False})


@final
@dataclass(frozen=True, kw_only=True)
class Result:
    """One run and what it is worth."""

    run: Run
    quality: Quality


@final
@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison:
    """Algorithms by seeds by problems.

    Attributes:
        cases: the problems.
        entries: the algorithms.
        seeds: of the runs.
        evaluations: asked for; a case may set a lower bound of its own.
        references: per case the reference front.
        results: of all runs, sorted by case, entry and seed.
        against: the entry that all others are tested against; None tests every pair.
        skipped: problems that could not be set up, and why.
        command: how it was made.
        baseline: random search without seeds, which is measured and neither tested nor ranked; None without.
        seeding: who was given seeds and reduced options: `default`, `all` or `none`.
    """

    cases: tuple[Case, ...]
    entries: tuple[Entry, ...]
    seeds: tuple[int, ...]
    evaluations: int
    references: Mapping[str, Reference]
    results: tuple[Result, ...]
    against: str | None = None
    skipped: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    command: str = ""
    baseline: Entry | None = None
    seeding: str = "default"

    def __repr__(self) -> str:
        """One line."""
        names = ", ".join(entry.name for entry in self.entries)
        size = f"problems: {len(self.cases)}, seeds: {len(self.seeds)}, {self.evaluations} evaluations"
        return f"Comparison({names}; {size})"

    def _repr_html_(self) -> str:
        frame = self.medians()
        shown = [name for name in ("problem", "algorithm", "runs", "seeded", *INDICATORS) if name in frame.columns]
        rows = [
            [f"{value:.5g}" if isinstance(value, float) else str(value) for value in row]
            for row in frame[shown].values.tolist()
        ]
        return html_table(shown, rows, repr(self))

    @property
    def shown(self) -> tuple[Entry, ...]:
        """The algorithms, and the baseline where there is one."""
        return self.entries if self.baseline is None else (*self.entries, self.baseline)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of entries that are tested on each case."""
        names = [entry.name for entry in self.entries]
        if self.against is None:
            return tuple(combinations(names, 2))
        return tuple((self.against, name) for name in names if name != self.against)

    def of(self, case: str, entry: str) -> list[Result]:
        """The results of one algorithm on one case, by seed, those without a failure."""
        return [r for r in self._grouped.get((case, entry), []) if not r.run.failure]

    @cached_property
    def _grouped(self) -> dict[tuple[str, str], list[Result]]:
        groups: dict[tuple[str, str], list[Result]] = {}
        for result in self.results:
            groups.setdefault((result.run.case, result.run.entry), []).append(result)
        return groups

    def values(self, case: str, entry: str, indicator: str = "hypervolume_share") -> Float[np.ndarray, " seeds"]:
        """One indicator of all runs of one algorithm on one case, by seed, rounded to 12 decimals."""
        key = "share" if indicator == "hypervolume_share" else indicator
        return settled(np.array([getattr(result.quality, key) for result in self.of(case, entry)], dtype=np.float64))

    def curves(self, case: str, entry: str) -> tuple[tuple[int, ...], Float[np.ndarray, "seeds checkpoints"]]:
        """Evaluations, and the hypervolume share of each run after them."""
        ends = checkpoints(self.budget(case))
        curves = [result.quality.curve for result in self.of(case, entry)]
        return ends, np.array(curves) if curves else np.empty((0, len(ends)))

    def budget(self, case: str) -> int:
        """Evaluations of each run on a case."""
        return next(item.budget(self.evaluations) for item in self.cases if item.name == case)

    @property
    def failures(self) -> dict[tuple[str, str], str]:
        """Why an algorithm has no result on a case."""
        return {(r.run.case, r.run.entry): r.run.failure for r in self.results if r.run.failure}

    def to_dataframe(self) -> DataFrame:
        """One row per run: indicators, speed, and the reference and scale that the numbers rest on."""
        return data_frame([self._row(result) for result in self.results])

    def _row(self, result: Result) -> dict[str, Any]:
        run, quality, reference = result.run, result.quality, self.references[result.run.case]
        row: dict[str, Any] = {
            "problem": run.case,
            "algorithm": run.entry,
            "seed": run.seed,
            "budget": self.budget(run.case),
            "evaluations": run.evaluations,
            "seconds": run.total_seconds,
            "seeds": run.seeds,
            "options_left_out": run.options_left_out,
            "front": quality.front,
            "hypervolume": quality.hypervolume,
            "hypervolume_share": quality.share,
            "epsilon": quality.epsilon,
            "igd_plus": quality.igd_plus,
            "exact_points_found": quality.found,
            "exact_points": len(reference.points) if reference.exact else None,
        }
        for goal, evaluations, seconds in zip(TARGETS, quality.evaluations_to, quality.seconds_to, strict=True):
            row[f"evaluations_to_{100 * goal:g}"] = evaluations
            row[f"seconds_to_{100 * goal:g}"] = seconds
        row |= {
            "reference_hypervolume": reference.volume,
            "reference_point": reference.point,
            "ideal": " ".join(f"{value:.10g}" for value in reference.ideal),
            "nadir": " ".join(f"{value:.10g}" for value in reference.nadir),
            "reference": reference.how,
            "failure": run.failure,
        }
        return row

    def medians(self) -> DataFrame:
        """One row per problem and algorithm: medians over the seeds, and quartiles of the hypervolume share."""
        rows = []
        for case in self.cases:
            for entry in self.shown:
                results = self.of(case.name, entry.name)
                if results:
                    rows.append({"problem": case.name, "algorithm": entry.name, **_medians(results)})
        return data_frame(rows)

    def statistics(self) -> DataFrame:
        """One row per problem, indicator and pair of algorithms: test, p, Holm's p among the pairs, A12 and its word.

        Paired runs (equal seeds) are compared by Wilcoxon's signed-rank test, others by Mann and Whitney's. `a12` is
        the probability that a run of `first` beats one of `second`. `verdict` names the better one where Holm's p is
        below 0.05.
        """
        rows = []
        for case in self.cases:
            for indicator, more_is_better in INDICATORS.items():
                tested = [
                    self._test(case.name, indicator, first, second, more_is_better=more_is_better)
                    for first, second in self.pairs
                    if self.of(case.name, first) and self.of(case.name, second)
                ]
                for row, p in zip(tested, holm(np.array([row["p"] for row in tested])), strict=True):
                    better = row["first"] if row.pop("leaning") > 0 else row["second"]
                    rows.append({**row, "p_holm": p, "verdict": f"{better} is better" if p < ALPHA else "not shown"})
        return data_frame(rows)

    def _test(self, case: str, indicator: str, first: str, second: str, *, more_is_better: bool) -> dict[str, Any]:
        """One pair on one indicator, without the correction."""
        sign = 1.0 if more_is_better else -1.0
        a, b = (sign * self.values(case, name, indicator) for name in (first, second))
        seeds_a, seeds_b = ([r.run.seed for r in self.of(case, name)] for name in (first, second))
        paired = seeds_a == seeds_b
        statistic, p = wilcoxon(a, b) if paired else mann_whitney(a, b)
        a12 = vargha_delaney(a, b)
        return {
            "problem": case,
            "indicator": indicator,
            "first": first,
            "second": second,
            # Adding 0 turns -0.0, which a reader stumbles over, into 0.0.
            "median_first": sign * float(np.median(a)) + 0.0,
            "median_second": sign * float(np.median(b)) + 0.0,
            "test": "Wilcoxon signed-rank" if paired else "Mann-Whitney",
            "runs_first": len(a),
            "runs_second": len(b),
            "tests": len(self.pairs),
            "statistic": statistic,
            "p": p,
            "a12": a12,
            "effect": effect_word(a12),
            "leaning": signed_rank_sum(a, b) if paired else a12 - 0.5,
        }

    def ranks(self) -> Ranks:
        """Average ranks of the algorithms by median hypervolume share, over the problems that all of them finished."""
        names = [entry.name for entry in self.entries]
        rows = [
            [float(np.median(self.values(case.name, name))) for name in names]
            for case in self.cases
            if all(self.of(case.name, name) for name in names)
        ]
        return average_ranks(np.array(rows).reshape(len(rows), len(names)))


def _medians(results: Sequence[Result]) -> dict[str, Any]:
    """Medians over the runs of one algorithm on one problem; a goal counts where at least half of the runs reach it."""
    shares = np.array([r.quality.share for r in results])
    lower, median, upper = np.percentile(shares, [25, 50, 75])
    counts = [r.quality.found for r in results if r.quality.found is not None]
    row: dict[str, Any] = {
        "runs": len(results),
        "seeded": all(r.run.seeds for r in results),
        "reduced": all(r.run.options_left_out for r in results),
        "hypervolume_share": median,
        "lower_quartile": lower,
        "upper_quartile": upper,
        "epsilon": float(np.median([r.quality.epsilon for r in results])),
        "igd_plus": float(np.median([r.quality.igd_plus for r in results])),
        "exact_points_found": float(np.median(counts)) if counts else None,
    }
    for index, goal in enumerate(TARGETS):
        for kind, of in (("evaluations", "evaluations_to"), ("seconds", "seconds_to")):
            reached = np.nan_to_num([getattr(r.quality, of)[index] for r in results], nan=np.inf)
            middle = float(np.sort(reached)[(len(reached) - 1) // 2])
            row[f"{kind}_to_{100 * goal:g}"] = middle if np.isfinite(middle) else float("nan")
    row["seconds"] = float(np.median([r.run.total_seconds for r in results]))
    return row
