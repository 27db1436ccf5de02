from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from evo_qnas.errors import InfeasibleError, ProblemError
from evo_qnas.pareto import exact_front, nondominated, planning
from evo_qnas.pareto.exact import true_front
from evo_qnas.pareto.lattice import lattice
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.generate import generate_tables
from tests.pareto.slow import all_genomes, brute_front, front_rows

COLUMNS = ("score", "size_bytes", "latency_ms", "energy")


@dataclass(frozen=True, kw_only=True)
class Small:
    """A problem in whole numbers, and the step that the tables hold multiples of.

    Attributes:
        columns: per column and block the choices' whole numbers.
        step: one unit in the tables.
        fixed: whole numbers of the fixed part, by column.
        objectives: columns, as sums or `mean:`.
        limits: (column, sign, units): half units lie between all sums, whole ones may be met exactly.
        pinned: whether the first block is pinned to 2 bits.
        banned: whether an operator of the second block is forbidden.
        tied: blocks that share a gene.
    """

    columns: dict[str, list[list[int]]]
    step: float = 1.0
    fixed: dict[str, int] = field(default_factory=dict)
    objectives: list[str]
    limits: list[tuple[str, str, float]] = field(default_factory=list)
    pinned: bool = False
    banned: bool = False
    tied: list[int] = field(default_factory=list)

    def problem(self) -> TableProblem:
        counts = [len(part) for part in self.columns["score"]]
        blocks = [
            Block(
                name=f"b{index}",
                operators=tuple(f"op{choice // 2}" for choice in range(count)),
                weight_bits=np.array([(2, 8)[choice % 2] for choice in range(count)]),
                activation_bits=np.full(count, 8),
            )
            for index, count in enumerate(counts)
        ]
        columns = {name: [np.array(part) * self.step for part in parts] for name, parts in self.columns.items()}
        tables = Tables.from_arrays(
            columns, blocks=blocks, fixed={name: units * self.step for name, units in self.fixed.items()}
        )
        return TableProblem(
            tables,
            objectives=self.objectives,
            constraints=[f"{name} {sign} {units * self.step!r}" for name, sign, units in self.limits],
            ties=[[f"b{index}" for index in self.tied]] if self.tied else [],
            pins={"b0": {"weight_bits": 2}} if self.pinned else None,
            forbidden={"b1": {"operator": "op1"}} if self.banned else None,
        )

    def sums(self, name: str, genomes: np.ndarray) -> np.ndarray:
        parts = self.columns[name.removeprefix("mean:")]
        picked = [np.array(part)[genomes[:, block]] for block, part in enumerate(parts)]
        return self.fixed.get(name.removeprefix("mean:"), 0) + sum(picked)

    def front(self, genomes: np.ndarray) -> list[tuple[int, ...]]:
        """The front by integers alone: no rounding anywhere."""
        for name, sign, units in self.limits:
            sums = self.sums(name, genomes)
            genomes = genomes[sums <= units if sign == "<=" else sums >= units]
        rows = np.unique(np.stack([self.sums(name, genomes) for name in self.objectives], axis=1), axis=0)
        return [tuple(row) for row in rows[front_rows(rows)].tolist()]

    def units(self, objectives: np.ndarray) -> list[tuple[int, ...]]:
        """Objectives of the tables as whole numbers again."""
        shares = [len(self.columns["score"]) if name.startswith("mean:") else 1 for name in self.objectives]
        whole = np.round(objectives / self.step * shares, 6)
        assert np.array_equal(whole, np.round(whole))
        return [tuple(row) for row in whole.astype(int).tolist()]


@st.composite
def smalls(draw: Callable[[Any], Any]) -> Small:
    """Few different values, ties, pins, forbidden choices, limits on and between reachable sums."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    values = st.integers(-3, 6)
    names = [name if draw(st.integers(0, 4)) else f"mean:{name}" for name in COLUMNS]
    same = [index for index, count in enumerate(counts) if count == counts[-1] and index > 1]
    return Small(
        columns={name: [[draw(values) for _ in range(count)] for count in counts] for name in COLUMNS},
        step=draw(st.sampled_from([1.0, 0.1, 0.001, 0.7, 1 / 3, np.pi * 1e-3, 1e7 / 7])),
        fixed={"score": draw(values), "energy": draw(values)},
        objectives=draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)),
        limits=[
            (name, draw(st.sampled_from(["<=", ">="])), draw(st.integers(-4, 18)) + draw(st.sampled_from([0.0, 0.5])))
            for name in draw(st.lists(st.sampled_from(COLUMNS), max_size=3))
        ],
        pinned=draw(st.booleans()),
        banned=len(counts) > 1 and draw(st.booleans()),
        tied=same if len(same) > 1 and draw(st.booleans()) else [],
    )


# 3 * 0.1 is 0.30000000000000004: read as no decimal, it made two sums of one value, and a point of the front of what
# another one beats.
_THREE_TENTHS = Small(
    columns={
        "score": [[0, 0, 1], [0, 0, -2, -3]],
        "size_bytes": [[0, 0, -1], [0, 0, 0, 1]],
        "energy": [[0, 0, 0], [0, 0, 0, 1]],
    },
    step=0.1,
    objectives=["score", "size_bytes", "energy"],
)
# 0.6 - 0.1 - 0.5 is 1.1e-16 here, which meets a limit of 0: numbers that cancel leave their rounding behind.
_CANCELLING = Small(columns={"score": [[-1, 5], [-5, 5], [6, 20]]}, step=0.1, objectives=["score"])


@settings(max_examples=100, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@example(_THREE_TENTHS)
@example(replace(_CANCELLING, limits=[("score", "<=", 0.0)]))
@example(replace(_CANCELLING, limits=[("score", ">=", 0.0), ("score", "<=", 0.0)]))
@example(replace(_CANCELLING, objectives=["mean:score"], step=1 / 3))
@given(smalls())
def test_exact_front_is_brute_force(small: Small) -> None:
    problem = small.problem()
    expected = small.front(all_genomes(problem))
    if not expected:
        with pytest.raises(InfeasibleError, match=r"cannot be met|no network meets"):
            exact_front(problem)
        return
    front = exact_front(problem)
    assert front.exact
    assert sorted(small.units(front.objectives)) == expected
    objectives, excess = problem.evaluate(front.genomes)
    assert np.array_equal(objectives, front.objectives)
    assert (excess <= 0.0).all()
    problem.space.encode(front.genomes)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.integers(0, 10**6), st.booleans())
def test_exact_front_of_any_floats_is_brute_force(m: int, seed: int, limited: bool) -> None:
    rng = np.random.default_rng(seed)
    columns = {name: [rng.lognormal(0.0, 2.0, size=rng.integers(2, 5)) for _ in range(4)] for name in COLUMNS[:1]}
    columns |= {name: [rng.normal(size=len(part)) for part in columns["score"]] for name in COLUMNS[1:]}
    limits = ["energy <= 0.3", "size_bytes >= -1.7"] if limited else []
    problem = TableProblem(Tables.from_arrays(columns), objectives=list(COLUMNS[:m]), constraints=limits)
    expected = brute_front(problem)
    if not len(expected):
        return
    assert np.array_equal(exact_front(problem).objectives, expected)


def test_sums_are_exact_in_decimals() -> None:
    columns = {"score": [np.array([0.1, 0.3]), np.array([0.2, 0.0])], "size_bytes": [np.array([1.0, 1.0])] * 2}
    problem = TableProblem(Tables.from_arrays(columns), objectives=["score", "size_bytes"])
    assert len({0.1 + 0.2, 0.3 + 0.0}) == 2
    assert len(exact_front(problem).objectives) == 1
    assert problem.additive is not None
    assert lattice(problem.additive).steps.tolist() == [0.1, 1.0]


def test_a_number_that_stands_for_never_costs_the_others_no_precision() -> None:
    columns = {
        "score": [np.array([np.pi, 3.0, 1e30]), np.array([1e30, 1e-3, 0.0])],
        "latency_ms": [np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1e30])],
    }
    tables = Tables.from_arrays(columns)
    limited = TableProblem(tables, objectives=["score", "latency_ms"], constraints=["latency_ms <= 3", "score <= 9"])
    assert exact_front(limited).objectives.tolist() == [[3.001, 3.0], [np.pi + 1e-3, 2.0]]


def test_sums_do_not_depend_on_their_order() -> None:
    tables = generate_tables(6, operators=3)
    names = ["score", "size_bytes", "latency_ms"]
    straight = TableProblem(tables, objectives=names)
    assert straight.additive is not None
    whole = lattice(straight.additive)
    picks = np.random.default_rng(0).integers(0, [part.shape[1] for part in whole.options], (200, 6))
    parts = np.stack([part[:, picks[:, gene]] for gene, part in enumerate(whole.options)])
    forward, backward = parts[0].copy(), parts[-1].copy()
    for part in parts[1:]:
        forward += part
    for part in parts[-2::-1]:
        backward += part
    assert np.array_equal(forward, backward)
    genes = np.stack([kept[picks[:, gene]] for gene, kept in enumerate(whole.kept)], axis=1)
    true = straight.evaluate(straight.space.decode(genes))[0]
    assert np.allclose(forward.T * whole.steps, true, rtol=1e-13)


def test_a_limit_on_an_objective_needs_no_dimension_of_its_own() -> None:
    tables = generate_tables(4, operators=3)
    limited = TableProblem(tables, objectives=["score", "size_bytes"], constraints=["size_bytes <= 60_000"])
    assert limited.additive is not None
    assert len(lattice(limited.additive).steps) == 2
    free = exact_front(TableProblem(tables, objectives=["score", "size_bytes"])).objectives
    assert np.array_equal(exact_front(limited).objectives, free[free[:, 1] <= 60_000])


def test_a_limit_met_in_decimals_is_met() -> None:
    columns = {
        "score": [np.array([0.0, 5.0]), np.array([0.0, 5.0])],
        "latency_ms": [np.array([0.1, 0.0]), np.array([0.2, 0.0])],
    }
    problem = TableProblem(Tables.from_arrays(columns), objectives=["score"], constraints=["latency_ms <= 0.3"])
    genomes, excess = all_genomes(problem), problem.evaluate(all_genomes(problem))[1]
    best = 0.0 if excess[0, 0] <= 0.0 else 5.0
    assert genomes[0].tolist() == [0, 0]
    assert exact_front(problem).objectives.tolist() == [[best]]


def test_choices_without_finite_numbers_are_never_used() -> None:
    problem = TableProblem(generate_tables(3, operators=2), objectives=["score", "size_bytes"])

    additive = problem.additive
    assert additive is not None
    broken = tuple(np.where(np.arange(len(part))[:, None] % 2 == 0, part, np.nan) for part in additive.objectives)
    whole = lattice(replace(additive, objectives=broken))
    assert all((kept % 2 == 0).all() for kept in whole.kept)
    nothing = (np.full_like(broken[0], np.inf), *broken[1:])
    with pytest.raises(ProblemError, match="block0 has no choice whose objectives and limits are all finite"):
        lattice(replace(additive, objectives=nothing))


@pytest.mark.parametrize(
    "names", [["score", "size_bytes"], ["score", "size_bytes", "latency_ms"], [*COLUMNS[:3], "macs"]]
)
@pytest.mark.parametrize("guarantee", [0.02, 0.1])
def test_a_guarantee_holds_for_every_point(names: list[str], guarantee: float, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = generate_tables(6, operators=3, weight_bits=(2, 4, 8))
    problem = TableProblem(tables, objectives=names)
    exact = exact_front(problem)
    monkeypatch.setattr(planning, "_EXACT_POINTS", 60)
    front = exact_front(problem, guarantee=guarantee)
    assert not front.exact
    assert 0.0 < front.share <= guarantee
    assert len(front.objectives) < len(exact.objectives)
    assert_within(front.objectives, exact.objectives, front.guarantee)
    assert np.array_equal(problem.evaluate(front.genomes)[0], front.objectives)


@pytest.mark.parametrize(
    ("limited", "exact_in"), [("latency_ms <= 3", 2), ("score <= 3", 0), ("size_bytes <= 120_000", 1)]
)
def test_a_guarantee_holds_under_limits(limited: str, exact_in: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = generate_tables(6, operators=3, weight_bits=(2, 4, 8))
    names = ["score", "size_bytes", "latency_ms"]
    problem = TableProblem(tables, objectives=names, constraints=[limited, "macs <= 8e7"])
    exact = exact_front(problem)
    monkeypatch.setattr(planning, "_EXACT_POINTS", 60)
    front = exact_front(problem, guarantee=0.05)
    assert 0.0 < front.share <= 0.05
    assert front.guarantee[exact_in] == 0.0, "an objective with a limit stays exact"
    assert_within(front.objectives, exact.objectives, front.guarantee)
    assert (problem.evaluate(front.genomes)[1] <= 0.0).all()


def assert_within(found: np.ndarray, true: np.ndarray, error: np.ndarray) -> None:
    worst = ((found[:, None, :] - true[None, :, :] - error * (1 + 1e-12)) <= 1e-12 * np.abs(true)).all(axis=2)
    assert worst.any(axis=0).all()


def test_a_front_that_outgrows_the_memory_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = TableProblem(generate_tables(6, operators=4), objectives=["score", "size_bytes", "latency_ms"])
    exact = exact_front(problem)
    bounded = exact_front(problem, max_points=500)
    assert len(exact.objectives) > 500 >= len(bounded.objectives)
    assert not bounded.exact
    assert "none of the true front further than" in str(bounded)
    assert "exact" in str(exact)
    assert_within(bounded.objectives, exact.objectives, bounded.guarantee)
    assert true_front(problem, max_points=500) is None
    again = true_front(problem, max_points=50_000)
    assert again is not None
    assert np.array_equal(again.objectives, exact.objectives)


def test_what_cannot_be_answered_is_said() -> None:
    tables = generate_tables(6, operators=4)
    both = TableProblem(tables, objectives=["score", "size_bytes"], constraints=["score <= 4", "size_bytes <= 200_000"])
    with pytest.raises(ProblemError, match="the front outgrows max_points=10, whatever the error: raise it"):
        exact_front(both, max_points=10)
    with pytest.raises(ProblemError, match="0 < guarantee < 1 are needed, got 2000000 and 3"):
        exact_front(both, guarantee=3.0)
    peak = TableProblem(tables, objectives=["score", "max:latency_ms"])
    with pytest.raises(ProblemError, match="objectives and limits that are sums over blocks"):
        exact_front(peak)


@pytest.mark.parametrize("guarantee", [-0.1, 0.0, 1.0, np.nan])
def test_a_guarantee_is_a_share_of_the_range_and_not_all_of_it(guarantee: float) -> None:
    """An error of the whole range would let any single network be the front."""
    problem = TableProblem(generate_tables(3), objectives=["score", "size_bytes"])
    with pytest.raises(ProblemError, match=rf"0 < guarantee < 1 are needed, got 2000000 and {guarantee}"):
        exact_front(problem, guarantee=guarantee)
    assert len(exact_front(problem, guarantee=0.999).genomes)


@pytest.mark.parametrize("seed", range(4))
def test_one_objective_under_limits_is_the_best_of_the_front(seed: int) -> None:
    tables = generate_tables(8, operators=5, seed=seed)
    limits = ["size_bytes <= 150_000", "latency_ms <= 4", "bit_operations <= 6e9"]
    alone = exact_front(TableProblem(tables, objectives=["score"], constraints=limits))
    assert alone.objectives.shape == (1, 1)
    # The exact merge keeps the limits as dimensions: another way to the same number.
    pair = exact_front(TableProblem(tables, objectives=["score", "size_bytes"], constraints=limits))
    assert alone.objectives[0, 0] == pytest.approx(pair.objectives[0, 0], rel=1e-12)


@pytest.mark.slow
def test_the_front_of_a_large_table_is_the_plain_one() -> None:
    problem = TableProblem(generate_tables(7), objectives=["score", "size_bytes", "latency_ms"])
    sums = np.zeros((1, 3))
    additive = problem.additive
    assert additive is not None
    for part in additive.objectives:
        sums = (sums[:, None, :] + part[None, :, :]).reshape(-1, 3)
        sums = sums[nondominated(sums)]
    front = exact_front(problem)
    assert np.allclose(front.objectives, sums[np.lexsort(sums.T[::-1])], rtol=1e-12)
