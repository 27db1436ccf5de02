"""Pictures; matplotlib is imported where it is used.

- `plot`, `KINDS`: a picture of an archive or run folder as PNG, SVG or PDF.
- `plot_run`: the front of a run with its validated networks.
- `Subject`, `load_subject`, `subject_of`: what pictures and pages are drawn from.
"""

from evo_qnas.plots.picture import KINDS, plot
from evo_qnas.plots.run import plot_run
from evo_qnas.plots.subject import Subject, load_subject, subject_of

__all__ = ["KINDS", "Subject", "load_subject", "plot", "plot_run", "subject_of"]
