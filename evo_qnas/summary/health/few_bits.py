"""Do fewer bits than 8 save time in this runtime."""

from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.health.int8_latency import LEAST_GAIN
from evo_qnas.summary.network import ValidatedNetwork
from evo_qnas.summary.numbers import percent, significant
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State

# Name of the operator that keeps the teacher's own block.
_TEACHER = "teacher"


@final
class FewBitsCheck(HealthCheck):
    """The bytes and the time that few bits alone save: of the smallest network that kept every operator."""

    about = "do weights of fewer than 8 bits save time in the runtime of the run, or bytes alone"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        int8 = run.teacher_int8
        kept = [network for network in run.networks if network.latency_ms and _bits(network)]
        if int8 is None or not int8.latency_ms or not kept:
            return None
        smallest = min(kept, key=lambda network: network.size_bytes)
        bits, latency = _bits(smallest), smallest.latency_ms or 0.0
        saved = f"{bits} save {percent(1.0 - smallest.size_bytes / int8.size_bytes)} of the bytes"
        times = f"{smallest.id}: {significant(latency)} against {significant(int8.latency_ms)} ms of the INT8 teacher"
        if int8.latency_ms >= LEAST_GAIN * latency:
            return State.GOOD, f"{saved} and {percent(1.0 - latency / int8.latency_ms)} of the time here ({times})."
        return State.NOTE, (
            f"{saved} and no time on this CPU, because its kernels hold 8-bit codes ({times}); "
            "fewer or cheaper operations save time."
        )


def _bits(network: ValidatedNetwork) -> str:
    """The few bits of a network that kept every operator, in words; "" where it has none or replaced one."""
    bits = sorted({block.weight_bits for block in network.blocks if 0 < block.weight_bits < 8})
    if not bits or any(block.operator != _TEACHER for block in network.blocks):
        return ""
    return f"{bits[0]} bits" if len(bits) == 1 else f"{bits[0]} to {bits[-1]} bits"
