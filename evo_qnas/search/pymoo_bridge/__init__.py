"""The one bridge between searches and pymoo.

- `named`: pymoo's algorithms by name, with our sampling, crossover, mutation and duplicate check, as an `Optimizer`.
- `configured`: a user's own pymoo algorithm as an `Optimizer`.
- `PymooOptimizer`: what both are.
- `EvoNSGA2`: our NSGA-II as one of pymoo's algorithms.

Every pymoo object is made for one run: pymoo shares default operators between algorithms, and operators keep state.
"""

from evo_qnas.search.pymoo_bridge.by_name import named
from evo_qnas.search.pymoo_bridge.configured import configured
from evo_qnas.search.pymoo_bridge.evo_nsga2 import EvoNSGA2
from evo_qnas.search.pymoo_bridge.optimizer import PymooOptimizer

__all__ = ["EvoNSGA2", "PymooOptimizer", "configured", "named"]
