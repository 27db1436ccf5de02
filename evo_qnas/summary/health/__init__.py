"""Health checks of a run: a small class each, which says one thing in one sentence.

- `HealthCheck`: the interface; `HEALTH_CHECKS`: the registry.
- `BaselineCheck`: is the INT8 teacher beaten.
- `NoiseCheck`: how small a difference these test examples can show.
- `ScoreCheck`: is the rank correlation of score and metric to be trusted.
- `ExportCheck`: do the files give what the integers give.
- `FloatPartsCheck`: which parts stay in floats.
- `Int8LatencyCheck`: does quantization save time in this runtime.
- `FewBitsCheck`: do fewer bits save time in it.
- `judge`: the verdict of a run.
"""

from evo_qnas.summary.health.base import HEALTH_CHECKS, HealthCheck
from evo_qnas.summary.health.baseline import BaselineCheck
from evo_qnas.summary.health.export import ExportCheck
from evo_qnas.summary.health.few_bits import FewBitsCheck
from evo_qnas.summary.health.float_parts import FloatPartsCheck
from evo_qnas.summary.health.int8_latency import Int8LatencyCheck
from evo_qnas.summary.health.judging import judge
from evo_qnas.summary.health.noise import NoiseCheck
from evo_qnas.summary.health.score import ScoreCheck

__all__ = [
    "HEALTH_CHECKS",
    "BaselineCheck",
    "ExportCheck",
    "FewBitsCheck",
    "FloatPartsCheck",
    "HealthCheck",
    "Int8LatencyCheck",
    "NoiseCheck",
    "ScoreCheck",
    "judge",
]
