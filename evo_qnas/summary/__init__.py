"""Results of a run, as typed values that become `summary.json` in one place.

- `BlockChoice`, `ValidatedNetwork`, `Difference`, `Prediction`: one validated network.
- `RunSummary` and its parts: a whole run.
"""

from evo_qnas.summary.network import BlockChoice, Difference, Prediction, ValidatedNetwork
from evo_qnas.summary.run import (
    FloatTeacher,
    FurtherSearchSummary,
    Int8Teacher,
    Metric,
    RankCorrelation,
    RunSummary,
    SearchSummary,
)

__all__ = [
    "BlockChoice",
    "Difference",
    "FloatTeacher",
    "FurtherSearchSummary",
    "Int8Teacher",
    "Metric",
    "Prediction",
    "RankCorrelation",
    "RunSummary",
    "SearchSummary",
    "ValidatedNetwork",
]
