"""Peers of `search`: the NSGA-II of other libraries on a table problem, each set up as its documents do for integers.

Every function takes (problem, evaluations, seed), uses a population of 100, and gives the objectives of
everything it evaluated.
"""

import logging
import random
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2, RankAndCrowdingSurvival
from pymoo.core.mixed import MixedVariableGA
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.variable import Choice
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from evo_qnas import TableProblem

POPULATION = 100
Way = Callable[[TableProblem, int, int], np.ndarray]


class _Integers(PymooProblem):
    """A vectorised pymoo problem that keeps what it evaluated."""

    def __init__(self, problem: TableProblem) -> None:
        super().__init__(
            n_var=len(problem.space.genes), n_obj=len(problem.objectives), xl=0, xu=problem.space.counts - 1, vtype=int
        )
        self.problem = problem
        self.kept: list[np.ndarray] = []

    def _evaluate(self, x: np.ndarray, out: dict, *_args: object, **_kwargs: object) -> None:
        out["F"] = self.problem.evaluate(self.problem.space.decode(np.asarray(x, dtype=np.int64)))[0]
        self.kept.append(out["F"])


class _Choices(PymooProblem):
    """The same with pymoo's `Choice` variables, the way its documents show for categories."""

    def __init__(self, problem: TableProblem) -> None:
        variables = {f"x{i}": Choice(options=list(range(c))) for i, c in enumerate(problem.space.counts.tolist())}
        super().__init__(vars=variables, n_obj=len(problem.objectives))
        self.names = list(variables)
        self.problem = problem
        self.kept: list[np.ndarray] = []

    def _evaluate(self, x: np.ndarray, out: dict, *_args: object, **_kwargs: object) -> None:
        genes = np.array([[row[name] for name in self.names] for row in x], dtype=np.int64)
        out["F"] = self.problem.evaluate(self.problem.space.decode(genes))[0]
        self.kept.append(out["F"])


class _Reset(Mutation):
    """Each gene takes a random value with probability 1 / genes."""

    def _do(self, problem: PymooProblem, X: np.ndarray, *_args: object, random_state: object = None, **_kw: object):
        fresh = random_state.integers(0, np.asarray(problem.xu, dtype=np.int64) + 1, size=X.shape)
        return np.where(random_state.random(X.shape) < 1.0 / X.shape[1], fresh, X)


def pymoo_reset(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    inner = _Integers(problem)
    algorithm = NSGA2(pop_size=POPULATION, sampling=IntegerRandomSampling(), crossover=UX(), mutation=_Reset())
    minimize(inner, algorithm, ("n_eval", evaluations), seed=seed)
    return np.concatenate(inner.kept)


def pymoo_rounding(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    inner = _Integers(problem)
    algorithm = NSGA2(
        pop_size=POPULATION,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
    )
    minimize(inner, algorithm, ("n_eval", evaluations), seed=seed)
    return np.concatenate(inner.kept)


def pymoo_mixed(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    inner = _Choices(problem)
    algorithm = MixedVariableGA(pop_size=POPULATION, survival=RankAndCrowdingSurvival())
    minimize(inner, algorithm, ("n_eval", evaluations), seed=seed)
    return np.concatenate(inner.kept)


def pygmo_nsga2(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    import pygmo

    kept: list[np.ndarray] = []
    counts = problem.space.counts

    class Inner:
        def fitness(self, x: np.ndarray) -> np.ndarray:
            return self.batch_fitness(x)

        def batch_fitness(self, flat: np.ndarray) -> np.ndarray:
            genes = np.rint(np.reshape(flat, (-1, len(counts)))).astype(np.int64)
            values = problem.evaluate(problem.space.decode(genes))[0]
            kept.append(values)
            return values.ravel()

        def get_bounds(self) -> tuple[list[float], list[float]]:
            return [0.0] * len(counts), (counts - 1.0).tolist()

        def get_nobj(self) -> int:
            return len(problem.objectives)

        def get_nix(self) -> int:
            return len(counts)

    engine = pygmo.nsga2(gen=evaluations // POPULATION - 1, seed=seed + 1)
    engine.set_bfe(pygmo.bfe(pygmo.member_bfe()))
    start = pygmo.population(pygmo.problem(Inner()), size=POPULATION, seed=seed + 1)
    pygmo.algorithm(engine).evolve(start)
    return np.concatenate(kept)[:evaluations]


def deap_nsga2(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    from deap import base, tools

    random.seed(seed)
    counts, kept = problem.space.counts, []
    fitness = type("Fitness", (base.Fitness,), {"weights": (-1.0,) * len(problem.objectives)})
    individual = type("Individual", (list,), {})

    def judged(population: list) -> list:
        values = problem.evaluate(problem.space.decode(np.array(population, dtype=np.int64)))[0]
        kept.append(values)
        for one, value in zip(population, values, strict=True):
            one.fitness = fitness(tuple(value))
        return population

    def child(parent: list) -> list:
        return individual(parent)

    highest = (counts - 1).tolist()
    start = [individual(random.randint(0, high) for high in highest) for _ in range(POPULATION)]
    population = tools.selNSGA2(judged(start), POPULATION)
    for _ in range(evaluations // POPULATION - 1):
        children = [child(one) for one in tools.selTournamentDCD(population, POPULATION)]
        for one, two in zip(children[::2], children[1::2], strict=True):
            tools.cxUniform(one, two, 0.5)
        for one in children:
            tools.mutUniformInt(one, 0, highest, 1.0 / len(counts))
        population = tools.selNSGA2(population + judged(children), POPULATION)
    return np.concatenate(kept)


def jmetal_nsga2(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    from jmetal.algorithm.multiobjective.nsgaii import NSGAII
    from jmetal.core.problem import IntegerProblem
    from jmetal.core.solution import IntegerSolution
    from jmetal.operator.crossover import IntegerSBXCrossover
    from jmetal.operator.mutation import IntegerPolynomialMutation
    from jmetal.util.termination_criterion import StoppingByEvaluations

    logging.disable(logging.INFO)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (jMetalPy draws from the global generator)
    counts, kept = problem.space.counts, []

    class Inner(IntegerProblem):
        def __init__(self) -> None:
            super().__init__()
            self.lower_bound, self.upper_bound = [0] * len(counts), (counts - 1).tolist()
            self.obj_directions = [self.MINIMIZE] * len(problem.objectives)

        def number_of_objectives(self) -> int:
            return len(problem.objectives)

        def number_of_constraints(self) -> int:
            return 0

        def name(self) -> str:
            return "tables"

        def evaluate(self, solution: IntegerSolution) -> IntegerSolution:
            values = problem.evaluate(problem.space.decode(np.array([solution.variables], dtype=np.int64)))[0]
            kept.append(values)
            solution.objectives[:] = values[0].tolist()
            return solution

    NSGAII(
        problem=Inner(),
        population_size=POPULATION,
        offspring_population_size=POPULATION,
        mutation=IntegerPolynomialMutation(probability=1.0 / len(counts), distribution_index=20),
        crossover=IntegerSBXCrossover(probability=1.0, distribution_index=20),
        termination_criterion=StoppingByEvaluations(max_evaluations=evaluations),
    ).run()
    logging.disable(logging.NOTSET)
    return np.concatenate(kept)


def optuna_nsga2(problem: TableProblem, evaluations: int, seed: int) -> np.ndarray:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    counts, kept = problem.space.counts.tolist(), []

    def judge(trial: optuna.Trial) -> tuple[float, ...]:
        genes = [[trial.suggest_int(f"x{index}", 0, count - 1) for index, count in enumerate(counts)]]
        values = problem.evaluate(problem.space.decode(np.array(genes, dtype=np.int64)))[0]
        kept.append(values)
        return tuple(values[0].tolist())

    sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(directions=["minimize"] * len(problem.objectives), sampler=sampler)
        study.optimize(judge, n_trials=evaluations)
    return np.concatenate(kept)


_OTHERS: tuple[tuple[str, str, Way], ...] = (
    ("pygmo", "pygmo", pygmo_nsga2),
    ("DEAP, uniform + reset", "deap", deap_nsga2),
    ("jMetalPy, SBX + polynomial", "jmetal", jmetal_nsga2),
    ("Optuna", "optuna", optuna_nsga2),
)
PEERS: dict[str, Way] = {
    "pymoo, uniform + reset": pymoo_reset,
    "pymoo, SBX/PM + rounding": pymoo_rounding,
    "pymoo, mixed variables": pymoo_mixed,
    **{name: way for name, module, way in _OTHERS if find_spec(module) is not None},
}
# One seed only.
SLOW = {"pymoo, mixed variables", "DEAP, uniform + reset", "jMetalPy, SBX + polynomial", "Optuna"}
