"""Pictures; matplotlib is imported where it is used.

- `plot_run`: the front of a run with its validated networks.
"""

from evo_qnas.plots.run import plot_run

__all__ = ["plot_run"]
