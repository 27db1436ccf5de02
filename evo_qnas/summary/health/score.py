"""Is the rank correlation of score and metric to be trusted."""

from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State

# Below this many networks not even the same order of all is beyond chance: one of 4! orders, from either end, has a
# probability of 8 %, one of 5! of 2 % (Kendall 1938).
_LEAST_GOOD = 5
# Below this many a useful score, of tau 0.5, would mostly not be told from none: without any order the deviation of tau
# is sqrt(2 (2 n + 5) / (9 n (n - 1))), 0.25 for 10 networks (Kendall 1938).
_LEAST_BAD = 10


@final
class ScoreCheck(HealthCheck):
    """Good where the interval of Kendall's tau lies above 0, bad where it holds 0, a note of too few networks."""

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
        if tau.networks < (_LEAST_GOOD if tau.low > 0 else _LEAST_BAD):
            return State.NOTE, (
                f"{tau.networks} random networks are too few to say if the score orders networks as {run.metric.name} "
                f"does: {words}; raise validation.random_networks to {_LEAST_BAD} or more."
            )
        if tau.low > 0:
            return State.GOOD, f"The score orders networks as {run.metric.name} does, beyond chance: {words} {of}."
        return State.BAD, (
            f"The score cannot be trusted: {words} {of} holds 0; "
            "more random networks, other scores, or further rounds over measured networks say more."
        )
