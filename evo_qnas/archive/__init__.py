"""Archives: every evaluation of a search, in one HDF5 file that survives kills, with its front.

- `Archive`, `Front`, `History`, `Validated`: the result of a search and its course.
- `Recorder`, `Header`, `Evaluations`: how a search writes it.
"""

from evo_qnas.archive.archive import Archive
from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import Front
from evo_qnas.archive.header import Header
from evo_qnas.archive.history import History
from evo_qnas.archive.recorder import Recorder
from evo_qnas.archive.validated import Validated
from evo_qnas.problem.outcome import FAILED, OK, TIMED_OUT

__all__ = ["FAILED", "OK", "TIMED_OUT", "Archive", "Evaluations", "Front", "Header", "History", "Recorder", "Validated"]
