"""Is the INT8 teacher beaten."""

from typing import final

from evo_qnas.summary.best import best_network, is_worse, lead_of, lead_text
from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.numbers import percent
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State


@final
class BaselineCheck(HealthCheck):
    """Good where the best network is smaller than the INT8 teacher and its metric is not worse beyond noise."""

    about = "is the best network smaller than the INT8 teacher, and its metric not worse beyond noise"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        best, int8 = best_network(run), run.teacher_int8
        lead = None if best is None else lead_of(best, run)
        if best is None or int8 is None or lead is None:
            return None
        saving = 1.0 - best.size_bytes / int8.size_bytes
        metric = f"{run.metric.name} {lead_text(lead, run)}"
        if saving <= 0:
            return State.BAD, f"The INT8 teacher is not beaten: {best.id} is no smaller than it."
        if is_worse(lead, run):
            text = f"The INT8 teacher is not beaten: {best.id} is {percent(saving)} smaller, but loses; {metric}."
            return State.BAD, text
        smaller = f"{best.id} is {percent(saving)} smaller than the INT8 teacher"
        return State.GOOD, f"{smaller} and not shown to be worse; {metric}."
