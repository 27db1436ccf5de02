"""A report of a search for people: a short table of the front, how good it is, and where the archive lies."""

import numpy as np

from evo_qnas.archive import Archive
from evo_qnas.pareto import certificate
from evo_qnas.problem import Problem
from evo_qnas.search.search import least_violating_text

_STOP_REASONS = {
    "budget": "the budget is spent",
    "exhausted": "nothing was left to try",
    "nothing new": "the algorithm proposed nothing new",
}


def summary(archive: Archive, problem: Problem, *, rows: int = 10) -> str:
    """Several lines of text about a finished search.

    Args:
        archive: of the search.
        problem: what was searched.
        rows: lines of the front to show, evenly spread over it.
    """
    ending = str(archive.extras.get("ending", ""))
    stop_reason = _STOP_REASONS.get(ending, ending)
    lines = [f"{len(archive)} evaluations ({stop_reason}), {len(archive.front)} networks on the front"]
    if len(archive.front):
        lines += _table(archive, rows)
        if problem.additive is not None:
            minimised = archive.evaluations.objectives[archive.front.rows]
            lines.append(str(certificate(problem, minimised)))
    else:
        lines.append(f"no network met every limit: {least_violating_text(archive)}")
    failed = int((archive.evaluations.state != 0).sum())
    if failed:
        row, reason = min(archive.evaluations.reasons.items())
        lines.append(f"{failed} evaluations failed; the first, evaluation {row}: {reason}")
    if archive.path is not None:
        lines.append(f"archive: {archive.path}")
    return "\n".join(lines)


def _table(archive: Archive, rows: int) -> list[str]:
    """Evaluation number and objectives of members spread over the front."""
    front = archive.front
    shown = np.unique(np.linspace(0, len(front) - 1, min(rows, len(front))).round().astype(np.int64))
    names = [f"{info.name}{'' if info.unit == '1' else f' [{info.unit}]'}" for info in archive.header.objectives]
    widths = [max(14, len(name)) for name in names]
    head = "  ".join(["evaluation", *(name.rjust(width) for name, width in zip(names, widths, strict=True))])
    body = [
        "  ".join(
            [
                f"{int(front.rows[index]):10d}",
                *(f"{value:{width}.6g}" for value, width in zip(front.objectives[index], widths, strict=True)),
            ]
        )
        for index in shown
    ]
    return [head, *body]
