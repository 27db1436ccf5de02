"""Problems and algorithms that no one here wrote, and our NSGA-II inside pymoo."""

import copy
import json
import random
from pathlib import Path

import numpy as np
import pytest
from pymoo.algorithms.moo.moead import MOEAD
from pymoo.algorithms.moo.nsga2 import NSGA2 as THEIRS
from pymoo.algorithms.moo.rvea import RVEA
from pymoo.algorithms.moo.spea2 import SPEA2
from pymoo.algorithms.soo.nonconvex.de import DE
from pymoo.algorithms.soo.nonconvex.ga import GA
from pymoo.algorithms.soo.nonconvex.pso import PSO
from pymoo.core.mixed import MixedVariableGA
from pymoo.core.problem import ElementwiseProblem
from pymoo.core.variable import Binary, Choice, Integer
from pymoo.operators.crossover.pntx import TwoPointCrossover
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.bitflip import BitflipMutation
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import BinaryRandomSampling, IntegerRandomSampling, PermutationRandomSampling
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from pymoo.problems.multi import ZDT5
from pymoo.problems.single.knapsack import create_random_knapsack_problem
from pymoo.problems.single.traveling_salesman import create_random_tsp_problem
from pymoo.termination.max_gen import MaximumGenerationTermination
from pymoo.util.ref_dirs import get_reference_directions

from evo_qnas.archive import Archive
from evo_qnas.errors import SearchError
from evo_qnas.pareto import nondominated
from evo_qnas.problem import TableProblem, from_pymoo
from evo_qnas.search import ALGORITHMS, Variation, load_recipe, search
from evo_qnas.search.pymoo_bridge import EvoNSGA2
from evo_qnas.search.pymoo_bridge.genes import rounded
from evo_qnas.search.pymoo_bridge.operators import ReplaceVisited
from evo_qnas.search.summary import summary
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space
from evo_qnas.tables.generate import generate_tables

PYMOO_NAMES = ("nsga3", "moead", "sms-emoa", "age-moea2", "spea2", "rvea")
TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


def integers(**changes: object) -> THEIRS:
    return THEIRS(
        pop_size=20,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=True,
        **changes,
    )


def bits() -> THEIRS:
    return THEIRS(
        pop_size=20,
        sampling=BinaryRandomSampling(),
        crossover=TwoPointCrossover(),
        mutation=BitflipMutation(),
        eliminate_duplicates=True,
    )


class Mixed(ElementwiseProblem):
    """Two objectives over an integer, a bit and a choice."""

    def __init__(self) -> None:
        variables = {
            "width": Integer(bounds=(2, 9)),
            "skip": Binary(),
            "kind": Choice(options=["conv", "pool", "none"]),
        }
        super().__init__(vars=variables, n_obj=2, n_ieq_constr=1)

    def _evaluate(self, X: dict, out: dict, *args: object, **kwargs: object) -> None:
        cost = X["width"] * {"conv": 3, "pool": 1, "none": 0.5}[X["kind"]] + 2 * X["skip"]
        gain = X["width"] * {"conv": 2, "pool": 1.5, "none": 1}[X["kind"]] + 3 * X["skip"]
        out["F"] = [cost, -gain]
        out["G"] = [3 - X["width"]]


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in {"exact", "age-moea2", "surrogate"}])
def test_their_problems_run_under_every_algorithm_of_ours(algorithm: str) -> None:
    problem = ZDT5()
    archive = search(from_pymoo(problem, vtype=bool), algorithm=algorithm, evaluations=150, population=20)
    F = problem.evaluate(archive.genomes.astype(bool), return_values_of=["F"])
    np.testing.assert_array_equal(archive.objectives, F)
    mixed = search(Mixed(), algorithm=algorithm, evaluations=1000, population=10)
    assert len(mixed) <= 48
    assert (mixed.front.constraints <= 0).all()


def test_mixed_variables_exhaust_to_the_true_front() -> None:
    archive = search(Mixed(), evaluations=1000, population=10)
    assert len(archive) == 48
    problem = from_pymoo(Mixed())
    values, excess = problem.evaluate(archive.genomes)
    fine = (excess <= 0).all(axis=1)
    best = values[fine][nondominated(values[fine])]
    np.testing.assert_array_equal(np.unique(archive.front.objectives, axis=0), np.unique(best, axis=0))


def test_knapsack_of_pymoo() -> None:
    problem = create_random_knapsack_problem(30)
    archive = search(problem, evaluations=3000, seed=1)
    assert len(archive.front) == 1
    assert archive.front.objectives[0, 0] == -1 * problem.P[archive.front.genomes[0].astype(bool)].sum()
    theirs = minimize(problem, bits(), ("n_eval", 3000), seed=1)
    assert archive.front.objectives[0, 0] <= theirs.F[0]


@pytest.mark.parametrize(
    "algorithm",
    [
        integers(),
        SPEA2(pop_size=20, sampling=IntegerRandomSampling(), crossover=UX(), mutation=PM(repair=RoundingRepair())),
        RVEA(get_reference_directions("das-dennis", 2, n_partitions=19), termination=("n_gen", 8)),
    ],
    ids=lambda a: type(a).__name__,
)
def test_their_algorithms_run_on_ours_and_stay_untouched(algorithm: object) -> None:
    before = copy.deepcopy(vars(algorithm))
    problem = TableProblem(TABLES, constraints=["latency_ms <= 6"])
    one = search(problem, algorithm=algorithm, evaluations=120, seed=4)
    two = search(problem, algorithm=algorithm, evaluations=120, seed=4)
    np.testing.assert_array_equal(one.genomes, two.genomes)
    assert 0 < len(one) <= 120
    assert vars(algorithm)["problem"] is None
    assert vars(algorithm)["is_initialized"] == before["is_initialized"]
    assert one.header.algorithm == f"pymoo:{type(algorithm).__name__}"


def test_their_problem_and_their_algorithm() -> None:
    archive = search(from_pymoo(ZDT5(), vtype=bool), algorithm=bits(), evaluations=400, seed=2)
    assert len(archive) == 400
    theirs = minimize(ZDT5(), bits(), ("n_eval", 400), seed=2)
    assert archive.objectives[:, 0].min() <= theirs.pop.get("F")[:, 0].min(), "every evaluation is kept"


def test_a_steady_state_algorithm_runs() -> None:
    directions = get_reference_directions("das-dennis", 2, n_partitions=14)
    algorithm = MOEAD(
        directions,
        n_neighbors=5,
        sampling=IntegerRandomSampling(),
        crossover=SBX(vtype=float, repair=RoundingRepair()),
        mutation=PM(vtype=float, repair=RoundingRepair()),
    )
    assert len(search(TableProblem(TABLES), algorithm=algorithm, evaluations=60, seed=1)) == 60


def test_their_algorithm_resumes(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    problem = TableProblem(TABLES)
    search(problem, algorithm=integers(), evaluations=70, path=path)
    resumed = search(problem, algorithm=integers(), evaluations=150, path=path)
    whole = search(problem, algorithm=integers(), evaluations=150)
    np.testing.assert_array_equal(resumed.genomes, whole.genomes)
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)


def test_their_termination_is_the_reason_of_the_end() -> None:
    problem = TableProblem(TABLES)
    algorithm = integers()
    algorithm.termination = MaximumGenerationTermination(3)
    archive = search(problem, algorithm=algorithm, evaluations=500)
    assert len(archive) < 500
    assert archive.extras["ending"] == "the algorithm's own termination: MaximumGenerationTermination"
    assert "(the algorithm's own termination: MaximumGenerationTermination)" in summary(archive, problem)


def test_what_pymoo_refuses_is_one_sentence() -> None:
    problem = TableProblem(TABLES, constraints=["latency_ms <= 6"])
    directions = get_reference_directions("das-dennis", 2, n_partitions=14)
    with pytest.raises(SearchError, match=r"MOEAD cannot search this problem: .*does not support any constraints"):
        search(problem, algorithm=MOEAD(directions), evaluations=50)
    with pytest.raises(ValueError, match=r"zdt1.*only int, bool|ZDT1.*only int, bool"):
        search(get_problem("zdt1"), evaluations=50)


def test_ours_inside_pymoo_s_minimize() -> None:
    problem = TableProblem(TABLES, constraints=["latency_ms <= 6"])
    result = minimize(problem.to_pymoo(), EvoNSGA2(pop_size=30), ("n_eval", 1500), seed=1)
    again = minimize(problem.to_pymoo(), EvoNSGA2(pop_size=30), ("n_eval", 1500), seed=1)
    np.testing.assert_array_equal(result.F, again.F)
    assert nondominated(result.F).all()
    values, excess = problem.evaluate(problem.space.decode(result.X.astype(np.int64)))
    np.testing.assert_array_equal(values, result.F)
    assert (excess <= 0).all()
    theirs = minimize(problem.to_pymoo(), integers(), ("n_eval", 1500), seed=1)
    better = (result.F[:, None] <= theirs.F[None]).all(axis=2).any(axis=0)
    assert better.mean() > 0.6


@pytest.mark.slow  # numba compiles for 20 s
def test_age_moea2_says_what_it_needs_or_runs() -> None:
    numba = pytest.importorskip("numba", reason="pymoo's AGE-MOEA-II needs numba")
    assert numba
    archive = search(TableProblem(TABLES), algorithm="age-moea2", evaluations=120, population=20)
    assert len(archive) == 120


def test_mixed_variable_algorithm_on_their_mixed_problem() -> None:
    class Single(Mixed):
        def __init__(self) -> None:
            super().__init__()
            self.n_obj = 1

        def _evaluate(self, X: dict, out: dict, *args: object, **kwargs: object) -> None:
            super()._evaluate(X, out)
            out["F"] = out["F"][0]

    archive = search(Single(), algorithm=MixedVariableGA(pop_size=8), evaluations=40, seed=1)
    assert 8 <= len(archive) <= 40
    assert archive.front.objectives[0, 0] == 1.5


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "age-moea2" else []) for name in PYMOO_NAMES]
)
def test_small_spaces_are_searched_to_their_end_and_equal_seeds_are_equal(name: str) -> None:
    if name == "age-moea2":
        pytest.importorskip("numba", exc_type=ImportError)
    problem = TableProblem(generate_tables(3, operators=2, weight_bits=(2, 4), activation_bits=(4, 8)))
    runs = []
    for draw in range(2):
        # Neither numpy's nor Python's own generator may take part.
        np.random.seed(draw)  # noqa: NPY002
        random.seed(draw)
        runs.append(search(problem, algorithm=name, evaluations=1000, population=20, seed=1, reduce=False))
    assert len(runs[0]) == problem.space.size == 512
    assert runs[0].extras["ending"] == "exhausted"
    np.testing.assert_array_equal(runs[0].genomes, runs[1].genomes)


def test_children_that_were_met_become_new_ones() -> None:
    space = Space.from_counts([2, 2, 2])
    visited = Visited(space)
    fresh = ReplaceVisited(Variation(space, load_recipe("default")), visited, always=True)
    visited.add(np.array([[0, 0, 0], [1, 1, 1]]))
    asked = np.array([[0, 0, 0], [0, 1, 0], [0, 1, 0], [1, 1, 1]])
    kept = asked.copy()
    found = fresh._do(None, asked, random_state=np.random.default_rng(0))
    assert not visited.repeated(found).any()
    assert found[1].tolist() == [0, 1, 0], "what is new stays"
    np.testing.assert_array_equal(asked, kept)
    visited.add(visited.random(np.random.default_rng(0), 8))
    assert fresh._do(None, asked, random_state=np.random.default_rng(0)).shape == asked.shape, "nothing new is left"


class Shifted(ElementwiseProblem):
    """One integer of -3 .. 9, best at -3, and a choice."""

    def __init__(self) -> None:
        super().__init__(vars={"width": Integer(bounds=(-3, 9)), "kind": Choice(options=[0.5, "a", 7])}, n_obj=1)

    def _evaluate(self, X: dict, out: dict, *args: object, **kwargs: object) -> None:
        out["F"] = [X["width"] + (X["kind"] != "a")]


def test_fronts_show_the_values_of_their_variables(tmp_path: Path) -> None:
    search(Shifted(), evaluations=39, path=tmp_path / "a.h5")
    archive = Archive.load(tmp_path / "a.h5")
    assert archive.front.genomes.tolist() == [[0, 1]]
    (network,) = json.loads(archive.front.to_json())
    assert network["blocks"] == {"width": -3, "kind": "a"}
    frame = archive.to_dataframe()
    assert sorted(set(frame["width"])) == list(range(-3, 10))
    assert set(frame["kind"]) == {0.5, "a", 7}
    assert [value - (kind != "a") for value, kind in zip(frame["f1"], frame["kind"], strict=True)] == list(
        frame["width"]
    )


def test_evo_nsga2_refuses_what_is_no_integer() -> None:
    with pytest.raises(SearchError, match=r"needs integer variables with bounds, and problem .* has float variables"):
        minimize(get_problem("zdt1"), EvoNSGA2(pop_size=10), ("n_eval", 20), seed=1)
    with pytest.raises(ValueError, match=r"is one of permutations"):
        minimize(create_random_tsp_problem(5), EvoNSGA2(pop_size=10), ("n_eval", 20), seed=1)


@pytest.mark.parametrize("algorithm", [GA(pop_size=8), DE(pop_size=8), PSO(pop_size=8)], ids=lambda a: type(a).__name__)
def test_algorithms_for_one_objective_refuse_two(algorithm: object) -> None:
    with pytest.raises(SearchError, match=r"is an algorithm for one objective, the problem has 2: take another one"):
        search(TableProblem(TABLES), algorithm=algorithm, evaluations=20)


@pytest.mark.parametrize("algorithm", ["rvea", RVEA(get_reference_directions("das-dennis", 2, n_partitions=7))])
def test_rvea_refuses_one_objective(algorithm: object) -> None:
    with pytest.raises(SearchError, match=r"(?i)rvea needs two objectives or more: take another algorithm"):
        search(TableProblem(TABLES, ["score"]), algorithm=algorithm, evaluations=20)


def test_algorithms_of_permutations_are_refused() -> None:
    algorithm = GA(pop_size=8, sampling=PermutationRandomSampling())
    with pytest.raises(SearchError, match=r"GA samples permutations, whose integers are not free"):
        search(TableProblem(TABLES, ["score"]), algorithm=algorithm, evaluations=20)


def test_variables_of_any_type_become_gene_values() -> None:
    """pymoo keeps variables as objects where their kinds are mixed; ties go to the even number, as numpy rounds."""
    values = [[-0.6, 0.4, 2.6, 9.0], [0.5, 1.5, 2.4, 1.0]]
    for kind in (np.float32, np.float64, object):
        found = rounded(np.array(values, dtype=kind), Space.from_counts([2, 2, 4, 4]))
        assert found.tolist() == [[0, 0, 3, 3], [0, 1, 2, 1]]
        assert found.dtype == np.int64
