"""Does quantization save time in this runtime."""

from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.numbers import significant
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State

# Medians of interleaved rounds differ by up to some percent on a machine with other work. Chosen.
LEAST_GAIN = 1.05


@final
class Int8LatencyCheck(HealthCheck):
    """Good where the INT8 teacher is faster than the float one, on the machine of the run in ONNX Runtime."""

    about = "is the INT8 teacher faster than the float one in the runtime of the run"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        int8 = None if run.teacher_int8 is None else run.teacher_int8.latency_ms
        whole = run.teacher_float.latency_ms
        if not int8 or not whole:
            return None
        times = f"{significant(int8)} against {significant(whole)} ms, ONNX Runtime, one thread"
        if whole >= LEAST_GAIN * int8:
            return State.GOOD, f"INT8 is {whole / int8:.1f} times as fast as float here ({times})."
        if int8 >= LEAST_GAIN * whole:
            words = f"INT8 takes {int8 / whole:.1f} times as long as float here"
            return State.NOTE, f"{words} ({times}): quantization saves bytes and no time in this runtime."
        return State.NOTE, f"INT8 is as fast as float here ({times}): quantization saves bytes and no time."
