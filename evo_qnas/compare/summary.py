"""A comparison in words: tables, winners, and what may be concluded from so many seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evo_qnas.compare.comparison import Comparison
from evo_qnas.compare.statistics import ALPHA, seeds_needed, smallest_p
from evo_qnas.frames import DataFrame

_HEADINGS = (
    "algorithm",
    "start",
    "share of hv",
    "quartiles",
    "epsilon",
    "IGD+",
    "found",
    "evals to 99 %",
    "to 99.9 %",
    "seconds",
)
_SEEDING = {
    "default": "; named algorithms do, others do not (--seeding all, none)",
    "all": "; all were given both, where the problem has them",
    "none": "; none was given either",
}


def summary_text(comparison: Comparison) -> str:
    """The comparison in words: a table per problem, who won where, and what may be concluded."""
    parts = [_title(comparison)]
    medians = comparison.medians()
    statistics = comparison.statistics()
    parts += [_case_text(comparison, case.name, medians, statistics) for case in comparison.cases]
    if comparison.skipped:
        parts.append("\n".join(f"left out: {name}: {why}" for name, why in comparison.skipped.items()))
    parts.append("\n".join(conclusions(comparison)))
    return "\n\n".join(parts)


def _title(comparison: Comparison) -> str:
    count = len(comparison.cases)
    problems = f"{count} problem{'s' if count > 1 else ''}"
    return (
        f"{len(comparison.entries)} algorithms, seeds: {len(comparison.seeds)}, {problems}, "
        f"{comparison.evaluations:,} evaluations a run, fewer where the problem says so.\n"
        "Medians over the seeds. share of hv: hypervolume as a share of the reference front's; epsilon and IGD+ on\n"
        "scaled objectives, less is better; found: points of the exact front; seconds: wall time of a run, with other\n"
        "runs beside it where --jobs is above 1. start: whether runs began with seeds (optima of weighted sums and "
        "others) and\nwithout options that no optimum needs" + _SEEDING[comparison.seeding] + "."
    )


def _case_text(comparison: Comparison, case: str, medians: DataFrame, statistics: DataFrame) -> str:
    """One problem: its reference, a table, the winner."""
    reference = comparison.references[case]
    about = next(item.about for item in comparison.cases if item.name == case)
    lines = [f"== {case}" + (f": {about}" if about else "")]
    lines.append(f"{comparison.budget(case):,} evaluations. Reference: {reference.text}")
    here = medians[medians["problem"] == case] if len(medians) else medians
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for _, row in here.sort_values("hypervolume_share", ascending=False, kind="stable").iterrows() if len(here) else []:
        rows.append(_cells(row, len(reference.points) if reference.exact else None))
    lines.append(_aligned(rows))
    lines += [f"{entry} has no result: {why}" for (name, entry), why in comparison.failures.items() if name == case]
    lines.append(winner_text(comparison, case, statistics))
    return "\n".join(lines)


def _cells(row: Any, exact: int | None) -> tuple[str, ...]:
    def number(key: str, text: str) -> str:
        value = float(row[key])
        return format(value, text) if np.isfinite(value) else "-"

    found = "-" if exact is None else f"{number('exact_points_found', '.0f')}/{exact}"
    return (
        str(row["algorithm"]),
        {(True, True): "seeds, fewer options", (True, False): "seeds", (False, True): "fewer options"}.get(
            (bool(row["seeded"]), bool(row["reduced"])), "plain"
        ),
        number("hypervolume_share", ".5f"),
        f"{number('lower_quartile', '.5f')}..{number('upper_quartile', '.5f')}",
        number("epsilon", ".4f"),
        number("igd_plus", ".5f"),
        found,
        number("evaluations_to_99", ",.0f"),
        number("evaluations_to_99.9", ",.0f"),
        number("seconds", ".2f"),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns of equal width, the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if not i else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def winners(comparison: Comparison, case: str) -> list[str]:
    """The entries with the best median hypervolume share on a case; several where it is equal to 12 decimals."""
    shares = {entry.name: comparison.values(case, entry.name) for entry in comparison.entries}
    medians = {name: float(np.median(values)) for name, values in shares.items() if len(values)}
    best = max(medians.values(), default=0.0)
    return [name for name, value in medians.items() if value == best]


def winner_text(comparison: Comparison, case: str, statistics: DataFrame) -> str:
    """The entry with the best median on a problem, and those that it is shown to beat."""
    best = winners(comparison, case)
    if not best:
        return "No algorithm has a result."
    if len(best) > 1:
        return f"Best median, equal: {', '.join(best)}."
    name = best[0]
    tested, beaten = set(), set()
    if len(statistics):
        mine = statistics[(statistics["problem"] == case) & (statistics["indicator"] == "hypervolume_share")]
        for _, row in mine[(mine["first"] == name) | (mine["second"] == name)].iterrows():
            other = str(row["second"] if row["first"] == name else row["first"])
            tested.add(other)
            if row["verdict"] == f"{name} is better":
                beaten.add(other)
    order = [entry.name for entry in comparison.entries]
    text = f"Best median: {name}"
    if beaten:
        text += f", shown better than {', '.join(n for n in order if n in beaten)}"
    if tested - beaten:
        text += f"; not shown better than {', '.join(n for n in order if n in tested - beaten)}"
    return text + "."


def conclusions(comparison: Comparison) -> list[str]:
    """The closing sentences: who won where, average ranks, and what so many seeds can and cannot show."""
    lines = []
    won: dict[str, list[str]] = {}
    for case in comparison.cases:
        best = winners(comparison, case.name)
        won.setdefault(" = ".join(best) if len(best) < 4 else f"{len(best)} algorithms equally", []).append(case.name)
    for names, cases in sorted(won.items(), key=lambda item: -len(item[1])):
        lines.append(
            f"Best median hypervolume on {len(cases)} of {len(comparison.cases)}: {names} ({', '.join(cases)})."
        )
    if len(comparison.entries) > 1:
        if len(comparison.cases) > 1:
            lines.append(_rank_sentence(comparison))
        lines.append(seeds_sentence(len(comparison.seeds), len(comparison.pairs), against=comparison.against))
    return lines


def _rank_sentence(comparison: Comparison) -> str:
    """Average ranks and what differs by more than the critical difference."""
    ranks = comparison.ranks()
    if not ranks.problems:
        return "There is no problem that all algorithms finished, so there are no average ranks."
    order = np.argsort(ranks.mean, kind="stable")
    names = [comparison.entries[index].name for index in order]
    text = ", ".join(f"{name} {ranks.mean[index]:.2f}" for name, index in zip(names, order, strict=True))
    worse = [
        name
        for name, index in zip(names, order, strict=True)
        if ranks.mean[index] - ranks.mean[order[0]] > ranks.critical
    ]
    shown = (
        f"{names[0]} differs from {', '.join(worse)}" if worse else f"{names[0]} is not shown to differ from any other"
    )
    return (
        f"Average ranks over {ranks.problems} problems: {text}. Ranks that differ by more than {ranks.critical:.2f} "
        f"differ at {ALPHA:.0%} (Nemenyi; Friedman p = {ranks.p:.2g}): {shown}. The problems are a choice, no random "
        "sample, so ranks speak of these problems only."
    )


def seeds_sentence(seeds: int, pairs: int, *, against: str | None = None) -> str:
    """Sentences on what can and cannot be concluded from so many seeds when so many pairs are tested on each problem.

    Example:
        >>> seeds_sentence(5, 3).partition(": ")[0].split(", ")[1]
        "after Holm's correction 0.1875"
    """
    smallest = smallest_p(seeds)
    corrected = min(1.0, smallest * pairs)
    tested = f"{pairs} pair{'s' if pairs > 1 else ''} tested on each problem"
    if against is not None:
        tested += f" (each against {against})"
    head = (
        f"With {seeds} seed{'s' if seeds > 1 else ''} and {tested} the smallest p that can be reached is "
        f"{smallest:.4g}, after Holm's correction {corrected:.4g}"
    )
    if corrected >= ALPHA:
        verdict = (
            f": not below {ALPHA:g}, so no difference on a single problem can be shown however large it is; "
            f"{seeds_needed(pairs)} seeds would do"
        )
    else:
        verdict = (
            ": below 0.05, so a difference that shows in nearly every seed can be shown, one that shows in most of "
            "them cannot"
        )
    return f'{head}{verdict}. "Not shown" never means equal: it means that so many seeds cannot tell.'
