"""Pictures; matplotlib is imported where it is used.

- `plot`, `KINDS`: a picture of an archive or run folder as PNG, SVG or PDF.
- `figure`: the same as a matplotlib figure.
- `plot_run`: the front of a run with its validated networks.
- `Subject`, `load_subject`, `subject_of`: what pictures and pages are drawn from.
"""

from evo_qnas.plots.picture import KINDS, figure, plot
from evo_qnas.plots.run import plot_run
from evo_qnas.plots.subject import Subject, load_subject, subject_of

__all__ = ["KINDS", "Subject", "figure", "load_subject", "plot", "plot_run", "subject_of"]
