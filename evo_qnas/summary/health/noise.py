"""How small a difference the test examples can show."""

from statistics import median
from typing import final

from evo_qnas.summary.best import best_network
from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.numbers import NORMAL, significant
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State


@final
class NoiseCheck(HealthCheck):
    """The least difference that is no noise, by the median error of differences; good where no networks are tied."""

    about = "which differences of the networks' metrics are within noise"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        best = best_network(run)
        if best is None:
            return None
        metric, images = run.metric, run.images.get("test", 0)
        if best.metric_stderr is None:
            text = f"{metric.name} is one number for all {images:,} test examples"
            return State.NOTE, f"{text}: which differences are noise is not known."
        tied = {other for network in run.networks for other in (network.id, *network.tied_with) if network.tied_with}
        tied &= {network.id for network in run.networks}
        paired = [n.minus_teacher_int8.stderr for n in run.networks if n.minus_teacher_int8 is not None]
        errors = [error for error in paired if error]
        error = median(errors) if errors else 2**0.5 * best.metric_stderr
        unit = "points" if metric.is_share else metric.unit
        least = f"{significant(metric.factor * NORMAL * error, 2)} {unit}".rstrip()
        text = f"Differences of {metric.name} below {least} are within noise of {images:,} test examples"
        if not tied:
            return State.GOOD, f"{text}; no two validated networks are that close."
        return State.NOTE, f"{text}: {len(tied)} of {len(run.networks)} validated networks are tied with another."
