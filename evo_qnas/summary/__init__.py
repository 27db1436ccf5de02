"""Results of a run, as typed values that become `summary.json` in one place.

- `BlockChoice`, `ValidatedNetwork`, `Difference`, `Prediction`: one validated network.
- `RunSummary` and its parts: a whole run.
- `read_summary`, `read_random`, `read_comparison`: files of runs and comparisons, each value checked.
"""

from evo_qnas.summary.comparison import ComparisonDocument, read_comparison
from evo_qnas.summary.network import BlockChoice, Difference, Prediction, ValidatedNetwork
from evo_qnas.summary.reading import RandomNetworks, read_random, read_summary
from evo_qnas.summary.run import (
    FloatTeacher,
    FurtherSearchSummary,
    Int8Teacher,
    Metric,
    RankCorrelation,
    RoundSummary,
    RunSummary,
    SearchSummary,
)

__all__ = [
    "BlockChoice",
    "ComparisonDocument",
    "Difference",
    "FloatTeacher",
    "FurtherSearchSummary",
    "Int8Teacher",
    "Metric",
    "Prediction",
    "RandomNetworks",
    "RankCorrelation",
    "RoundSummary",
    "RunSummary",
    "SearchSummary",
    "ValidatedNetwork",
    "read_comparison",
    "read_random",
    "read_summary",
]
