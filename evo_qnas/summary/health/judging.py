"""`judge`: the verdict of a run."""

from evo_qnas.summary.best import best_network, headline_of
from evo_qnas.summary.health.base import HEALTH_CHECKS
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import Finding, Verdict


def judge(run: RunSummary) -> Verdict:
    """The best network and the findings of all health checks, those of other packages too; the summary stays as it is.

    Example:
        `judge(study.summary).headline`, or `study.summary.verdict` of a run that has ended.
    """
    best = best_network(run)
    findings = []
    for name, check in HEALTH_CHECKS.items():
        answer = check.judge(run)
        if answer is not None:
            findings.append(Finding(check=name, state=answer[0], text=answer[1]))
    return Verdict(
        network=None if best is None else best.id,
        headline="No network was validated." if best is None else headline_of(best, run),
        tied_with=() if best is None else best.tied_with,
        findings=tuple(findings),
    )
