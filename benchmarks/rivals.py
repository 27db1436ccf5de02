"""Algorithms of other libraries as people use them, for `benchmarks/compare_suite.py`.

- `two_point`: pymoo's NSGA-II with two-point crossover and uniform mutation of one gene in each child on average.
- `WithoutModel`: our `nsga2` without its linear model.
- `PYGMO`: nsga2, moead and nspso of pygmo (`pip install pygmo`), through the interface for algorithms of one's own.
  Only nsga2 takes integers; the two others search real numbers, which are rounded.
"""

import queue
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.mutation import Mutation
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.sampling.rnd import IntegerRandomSampling

import evo_qnas as eq
from evo_qnas.search import nsga2
from evo_qnas.search.algorithm import Algorithm
from evo_qnas.search.context import SearchContext

# Generations after which a pygmo run ends by itself; a search ends earlier by its budget.
_MOST_GENERATIONS = 100_000
# Added to each objective for each unit of a missed limit, since pygmo's algorithms take none.
_PENALTY = 1e9
_POPULATION = 100


class UniformMutation(Mutation):
    """Any other value for each gene with a probability of one in the number of genes; on bits it flips them."""

    def _do(self, problem: Any, X: np.ndarray, *args: Any, random_state: Any = None, **kwargs: Any) -> np.ndarray:
        counts = (problem.xu - problem.xl).astype(np.int64) + 1
        change = random_state.random(X.shape) < 1.0 / X.shape[1]
        step = 1 + (random_state.random(X.shape) * (counts - 1)).astype(np.int64)
        other = (X.astype(np.int64) - problem.xl.astype(np.int64) + step) % counts + problem.xl.astype(np.int64)
        return np.where(change & (counts > 1), other, X)


def two_point() -> NSGA2:
    """The configured algorithm."""
    return NSGA2(
        pop_size=_POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=TwoPointCrossover(),
        mutation=UniformMutation(),
        eliminate_duplicates=True,
    )


class WithoutModel(Algorithm):
    """`nsga2` that learns nothing, with the seeds that it has otherwise where not all objectives are sums."""

    about = "nsga2 without its linear model"
    label = "nsga2-without-model"

    def make(self, context: SearchContext) -> nsga2.NSGA2:
        return nsga2.NSGA2(
            context.variation,
            population=context.population,
            rng=context.rng,
            seeds=context.seeds(),
            learn=False,
            visited=context.visited,
        )


class PygmoAlgorithm:
    """One of pygmo's algorithms, which calls for values, run beside the search that asks and tells.

    pygmo's loop runs in a thread of its own, which only ever waits for the values of what it called for, so that the
    course is a function of the seed.
    """

    def __init__(self, problem: eq.Problem, seed: int, *, kind: str) -> None:
        self.space, self.objectives = problem.space, len(problem.objectives)
        self.asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(kind, seed), daemon=True).start()

    def _run(self, kind: str, seed: int) -> None:
        """Evolves; an error of the library is handed to who waits for its next call."""
        try:
            self._evolve(kind, seed)
        except ValueError as error:
            self.asked.put(error)

    def _evolve(self, kind: str, seed: int) -> None:
        import pygmo

        batches = pygmo.bfe(pygmo.member_bfe())
        integer = kind == "nsga2"
        udp = _Called(self.space.counts, self.objectives, integer=integer, asked=self.asked, answers=self.answers)
        # The library's defaults, but for a mutation of one gene in each child on average.
        # Its grid of weights wants a population of 91 or 105 where there are three objectives.
        settings = {
            "nsga2": {"m": 1.0 / len(self.space.counts)},
            "moead": {"weight_generation": "low discrepancy"},
        }.get(kind, {})
        # Its `moead` calls for one value at a time; this is the same algorithm with a generation at once.
        made = getattr(pygmo, {"moead": "moead_gen"}.get(kind, kind))(gen=_MOST_GENERATIONS, seed=seed, **settings)
        made.set_bfe(batches)
        population = pygmo.population(pygmo.problem(udp), size=_POPULATION, seed=seed, b=batches)
        pygmo.algorithm(made).evolve(population)
        self.asked.put(np.empty((0, len(self.space.counts)), dtype=np.int64))

    def ask(self, n: int) -> Any:
        """What pygmo called for."""
        called = self.asked.get()
        if isinstance(called, ValueError):
            raise called
        return self.space.decode(called)

    def tell(self, genomes: Any, objectives: Any, constraints: Any) -> None:
        """Hands the values to pygmo's thread."""
        failed = ~np.isfinite(objectives)
        values = np.where(failed, _PENALTY, objectives)
        self.answers.put(values + _PENALTY * np.clip(np.nan_to_num(constraints), 0.0, None).sum(axis=1, keepdims=True))


class _Called:
    """The problem as pygmo calls it."""

    def __init__(self, counts: np.ndarray, objectives: int, *, integer: bool, asked: Any, answers: Any) -> None:
        self.counts, self.objectives, self.integer = counts, objectives, integer
        self.asked, self.answers = asked, answers

    def __deepcopy__(self, memo: Any) -> "_Called":
        return _Called(self.counts, self.objectives, integer=self.integer, asked=self.asked, answers=self.answers)

    def get_bounds(self) -> Any:
        # Each whole number is rounded to from an interval of the same length.
        wide = 0.0 if self.integer else 0.5
        return [-wide] * len(self.counts), (self.counts - 1.0 + wide).tolist()

    def get_nobj(self) -> int:
        return self.objectives

    def get_nix(self) -> int:
        return len(self.counts) if self.integer else 0

    def fitness(self, x: np.ndarray) -> np.ndarray:
        return self.batch_fitness(x)

    def batch_fitness(self, x: np.ndarray) -> np.ndarray:
        genes = np.clip(np.rint(x).astype(np.int64).reshape(-1, len(self.counts)), 0, self.counts - 1)
        self.asked.put(genes)
        values: np.ndarray = self.answers.get()
        return values.ravel()


PYGMO: Mapping[str, Any] = {f"pygmo-{kind}": partial(PygmoAlgorithm, kind=kind) for kind in ("nsga2", "moead", "nspso")}
