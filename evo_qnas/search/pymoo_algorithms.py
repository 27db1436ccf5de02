"""Entries of the algorithms that pymoo implements; pymoo is imported when one is made."""

from typing import final

from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.base import Optimizer
from evo_qnas.search.context import SearchContext


@final
class PymooAlgorithm(Algorithm):
    """One of pymoo's algorithms with our sampling, crossover, mutation and duplicate check."""

    def __init__(self, name: str, about: str) -> None:
        self.name = name
        self.about = f"{about}, pymoo's"

    def make(self, context: SearchContext) -> Optimizer:
        """The algorithm, set up for the context's space."""
        from evo_qnas.search.pymoo_bridge import named

        return named(self.name, context)


NSGA3 = PymooAlgorithm("nsga3", "non-dominated sorting and reference directions, for many objectives (Deb & Jain 2014)")
MOEAD = PymooAlgorithm("moead", "decomposition into weighted subproblems (Zhang & Li 2007)")
SMS_EMOA = PymooAlgorithm("sms-emoa", "selection by hypervolume contribution (Beume et al. 2007)")
AGE_MOEA2 = PymooAlgorithm("age-moea2", "selection by the estimated shape of the front (Panichella 2022)")
SPEA2 = PymooAlgorithm("spea2", "strength and density of neighbours (Zitzler et al. 2001)")
RVEA = PymooAlgorithm("rvea", "reference vectors and angles (Cheng et al. 2016)")
