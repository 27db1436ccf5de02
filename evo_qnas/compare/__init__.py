"""Comparisons: algorithms x seeds x problems under equal budgets, with indicators and statistics.

- `compare`: one call; `Comparison`: its tables and statistics; `summary_text`, `save_comparison`: in words, as files.
- `Case`, `KnownFront`: a problem to compare on, and the way to its true front.
- `Entry`: an algorithm with its settings; `entries_of`, `parse_entry`: how users name them.
- `Elsewhere`: results that were made elsewhere, as an algorithm.
- `runtimes`: the empirical distribution of target runtimes; `to_iohanalyzer`: files for IOHanalyzer.
- `Reference`, `Quality`, `measure`: indicators of one run.
- `evo_qnas.compare.suite`: the problems of a suite card such as `problems/suite.toml`.
"""

from evo_qnas.compare.case import Case, KnownFront, enumerated_front, grouped_front, summed_front
from evo_qnas.compare.compare import compare
from evo_qnas.compare.comparison import Comparison, Result
from evo_qnas.compare.elsewhere import Elsewhere
from evo_qnas.compare.entries import Entry, entries_of, parse_entry
from evo_qnas.compare.files import save_comparison
from evo_qnas.compare.indicators import Quality, Reference, measure, reference_of
from evo_qnas.compare.runs import Run
from evo_qnas.compare.runtimes import runtimes, to_iohanalyzer
from evo_qnas.compare.summary import summary_text

__all__ = [
    "Case",
    "Comparison",
    "Elsewhere",
    "Entry",
    "KnownFront",
    "Quality",
    "Reference",
    "Result",
    "Run",
    "compare",
    "entries_of",
    "enumerated_front",
    "grouped_front",
    "measure",
    "parse_entry",
    "reference_of",
    "runtimes",
    "save_comparison",
    "summary_text",
    "summed_front",
    "to_iohanalyzer",
]
