"""Is the rank correlation of score and metric to be trusted."""

from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State


@final
class ScoreCheck(HealthCheck):
    """Good where the interval of Kendall's tau lies above 0, bad where it holds 0: the score is a guess."""

    about = "does the score order random networks as the metric does, beyond chance"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        tau = run.rank_correlation
        if tau is None:
            return None
        if tau.kendall_tau is None or tau.low is None or tau.high is None:
            return State.NOTE, f"Kendall's tau of score and {run.metric.name} is not known: a ranking is constant."
        words = f"Kendall's tau {tau.kendall_tau:.2f} (95 %: {tau.low:.2f} to {tau.high:.2f})"
        of = f"over {tau.networks} random networks"
        if tau.low > 0:
            return State.GOOD, f"The score orders networks as {run.metric.name} does, beyond chance: {words} {of}."
        return State.BAD, (
            f"The score cannot be trusted: {words} {of} holds 0; "
            "more random networks, other scores, or further rounds over measured networks say more."
        )
