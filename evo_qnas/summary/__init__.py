"""Results of a run, as typed values that become `summary.json` in one place.

- `BlockChoice`, `ValidatedNetwork`, `Difference`, `Prediction`: one validated network.
- `RunSummary` and its parts: a whole run.
- `Verdict`, `Finding`, `State`, `best_network`: its best network, and what `evo_qnas.summary.health` found.
- `with_error`, `significant`, `percent`: numbers with the digits that their error allows.
- `read_summary`, `read_random`, `read_comparison`: files of runs and comparisons, each value checked.
"""

from evo_qnas.summary.best import best_network
from evo_qnas.summary.comparison import ComparisonDocument, read_comparison
from evo_qnas.summary.network import BlockChoice, Difference, Prediction, ValidatedNetwork
from evo_qnas.summary.numbers import percent, significant, with_error
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
from evo_qnas.summary.verdict import Finding, State, Verdict

__all__ = [
    "BlockChoice",
    "ComparisonDocument",
    "Difference",
    "Finding",
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
    "State",
    "ValidatedNetwork",
    "Verdict",
    "best_network",
    "percent",
    "read_comparison",
    "read_random",
    "read_summary",
    "significant",
    "with_error",
]
