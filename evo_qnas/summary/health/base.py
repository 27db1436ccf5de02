"""`HealthCheck`: one question about a finished run, and the registry of all."""

from abc import ABC, abstractmethod

from evo_qnas.errors import PictureError
from evo_qnas.registry import Registry
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State


class HealthCheck(ABC):
    """One question about a finished run; it reads the summary alone, and raises nothing where parts of that are None.

    An entry of the registry is made without arguments and keeps no state.
    """

    @property
    @abstractmethod
    def about(self) -> str:
        """The question in one plain line, for `evo-qnas list checks`."""

    @abstractmethod
    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer: what it means, and one sentence; None where the run did not measure what is asked."""


_HERE = "evo_qnas.summary.health"
HEALTH_CHECKS: Registry[HealthCheck] = Registry(
    "health check",
    "evo_qnas.health_checks",
    HealthCheck,
    {
        "baseline": f"{_HERE}.baseline:BaselineCheck",
        "noise": f"{_HERE}.noise:NoiseCheck",
        "score": f"{_HERE}.score:ScoreCheck",
        "export": f"{_HERE}.export:ExportCheck",
        "float_parts": f"{_HERE}.float_parts:FloatPartsCheck",
        "int8_latency": f"{_HERE}.int8_latency:Int8LatencyCheck",
        "few_bits": f"{_HERE}.few_bits:FewBitsCheck",
    },
    error=PictureError,
)
