"""Table problems against a few obvious lines, and the rules of ties, pins and forbidden choices."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import ProblemError
from evo_qnas.problem import Networks, Problem, TableProblem, objective
from evo_qnas.tables import Content, Tables
from evo_qnas.testing import ProblemContract
from tests.problem.made import made_tables


def twin(tables: Tables, genome: tuple[int, ...], term: str) -> float:
    """One number of one network, spelled out."""
    if term.startswith("distinct("):
        which = ("operator", "weight_bits", "activation_bits").index(term[len("distinct(") : -1])
        return float(len({block.labels[value][which] for block, value in zip(tables.blocks, genome, strict=True)}))
    kind, _, name = term.rpartition(":")
    column = tables.columns[name]
    values = [float(values[value]) for values, value in zip(column.values, genome, strict=True)]
    if kind == "max":
        return max([*values, column.fixed] if column.fixed else values)
    total = sum(values) + column.fixed
    return total / len(values) if kind == "mean" else total


TERMS = ["score", "cost", "good", "mean:cost", "max:cost", "max:good", "mean:good", "distinct(operator)"]
LIMITS = [
    ("cost <= 3", [("cost", 1, 3)]),
    ("score >= -1.5", [("score", -1, -1.5)]),
    ("-2 <= mean:cost <= 2", [("mean:cost", 1, 2), ("mean:cost", -1, -2)]),
    ("4 >= max:cost >= 1", [("max:cost", 1, 4), ("max:cost", -1, 1)]),
    ("distinct(weight_bits) <= 1", [("distinct(weight_bits)", 1, 1)]),
    ("good >= 2", [("good", -1, 2)]),
]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    terms=st.lists(st.sampled_from(TERMS), min_size=1, max_size=4, unique=True),
    limits=st.lists(st.sampled_from(LIMITS), max_size=3, unique_by=lambda limit: limit[0]),
    fixed=st.sampled_from([0.0, 2.5]),
)
def test_values_equal_the_slow_twin(seed: int, terms: list[str], limits: list[Any], fixed: float) -> None:
    tables = made_tables(seed, fixed=fixed)
    problem = TableProblem(tables, terms, [text for text, _ in limits])
    genomes = problem.space.sample(np.random.default_rng(seed), 12)
    objectives, excess = problem.evaluate(genomes)
    sides = [side for _, parts in limits for side in parts]
    for row, genome in enumerate(genomes.tolist()):
        signs = [-1 if term.endswith("good") else 1 for term in terms]
        wanted = [sign * twin(tables, tuple(genome), term) for sign, term in zip(signs, terms, strict=True)]
        np.testing.assert_allclose(objectives[row], wanted, rtol=1e-12, atol=1e-12)
        over = [sign * (twin(tables, tuple(genome), term) - bound) for term, sign, bound in sides]
        np.testing.assert_allclose(excess[row], over, rtol=1e-12, atol=1e-12)
    additive = all(not t.startswith(("max:", "distinct")) for t in (*terms, *(side[0] for side in sides)))
    assert (problem.additive is not None) == additive


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), tie=st.booleans(), pin=st.booleans(), ban=st.booleans())
def test_space_equals_the_filtered_product(seed: int, tie: bool, pin: bool, ban: bool) -> None:
    tables = made_tables(seed)
    ties = [["b0", "b2"]] if tie else []
    pins = {"b1": {"weight_bits": [4, 8], "operator": "conv"}} if pin else {}
    bans = {"b0": {"operator": "sep", "weight_bits": 8}} if ban else {}

    def allowed(genome: tuple[int, ...]) -> bool:
        labels = [block.labels[value] for block, value in zip(tables.blocks, genome, strict=True)]
        fits = not tie or labels[0] == labels[2]
        fits &= not pin or labels[1][0] == "conv"
        return fits and not (ban and labels[0][:2] == ("sep", 8))

    wanted = {genome for genome in product(*(range(len(block)) for block in tables.blocks)) if allowed(genome)}
    space = TableProblem(tables, ["score"], ties=ties, pins=pins, forbidden=bans).space
    every = np.array(list(product(*(range(count) for count in space.counts))))
    assert {tuple(row) for row in space.decode(every).tolist()} == wanted
    assert space.size == len(wanted)


def test_ties_that_share_a_block_are_one_group() -> None:
    problem = TableProblem(made_tables(1, 4), ["score"], ties=[["b0", "b1"], ["b3", "b1"]])
    assert [gene.blocks.tolist() for gene in problem.space.genes] == [[0, 1, 3], [2]]


def test_ties_of_the_tables_hold_too() -> None:
    plain = made_tables(1, 3)
    tables = Tables(Content(blocks=plain.blocks, columns=plain.columns, ties=(("b1", "b2"),)))
    assert len(TableProblem(tables, ["score"]).space.genes) == 2


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"objectives": []}, "objectives is empty"),
        ({"objectives": ["scroe"]}, "no column 'scroe'.*there are: score, cost, good"),
        ({"objectives": ["score", "score"]}, "objective 'score' is there 2 times"),
        ({"objectives": ["min:score"]}, "'min:score' cannot be imported"),
        ({"ties": [["b0", "b9"]]}, r"the tie \['b0', 'b9'\] names 'b9'"),
        ({"pins": {"stem": {"weight_bits": 8}}}, "there is no block 'stem' to pin or forbid"),
        ({"pins": {"b0": {"bits": 8}}}, "block 'b0': 'bits' cannot be pinned"),
        ({"pins": {"b0": {"weight_bits": 16}}}, "block 'b0' has no choice left"),
        ({"pins": {"b0": {"weight_bits": 8.5}}}, "weight_bits = 8.5 must be text or an integer"),
        ({"forbidden": {"b0": {"weight_bits": [4, 8]}}}, "block 'b0' has no choice left"),
    ],
)
def test_wrong_settings_are_named(settings_: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        TableProblem(made_tables(), **{"objectives": ["score"], **settings_})


def test_tied_blocks_without_common_choice_are_refused() -> None:
    tables = made_tables(1, 2)
    pins = {"b0": {"weight_bits": 8}, "b1": {"weight_bits": 4}}
    with pytest.raises(ProblemError, match="the tied blocks b0, b1 have no choice in common"):
        TableProblem(tables, ["score"], ties=[["b0", "b1"]], pins=pins)


def test_nan_is_refused_where_it_can_be_chosen_and_only_there() -> None:
    tables = Tables.from_arrays({"score": [np.array([1.0, np.nan])], "cost": [np.array([1.0, 2.0])]})
    with pytest.raises(
        ProblemError, match=r"score has no finite number for block 'block0', choice \('choice1', 0, 0\)"
    ):
        TableProblem(tables, ["cost"], ["score <= 3"])
    two = Tables.from_arrays({"score": [np.arange(4.0), np.array([1.0, 2.0, np.nan])]})
    with pytest.raises(ProblemError, match=r"for block 'block1', choice \('choice2', 0, 0\)"):
        TableProblem(two, ["score"])
    assert TableProblem(tables, ["cost"]).space.size == 2
    assert TableProblem(tables, ["score"], forbidden={"block0": {"operator": "choice1"}}).space.size == 1
    assert TableProblem(tables.drop_nan(["score"]), ["score"]).space.size == 1


def widest(networks: Networks) -> np.ndarray:
    return networks.weight_bits.max(axis=1) + 0.0


@objective(unit="ops", maximize=True)
def spread(networks: Networks) -> np.ndarray:
    return np.array([float(len(set(row))) for row in networks.operators])


@objective(per_network=True)
def careful(networks: Networks) -> float:
    assert len(networks) == 1
    return float(networks.column("cost").sum())


class TestPlain(ProblemContract):
    def make_problem(self) -> Problem:
        # Many blocks and digits, so that another order of adding up would show in the last bits.
        rng = np.random.default_rng(3)
        columns = {name: [rng.normal(size=4) for _ in range(19)] for name in ("score", "cost", "good")}
        tables = Tables.from_arrays(columns, directions={"good": "maximize"}, fixed={"cost": 0.1})
        return TableProblem(tables, ["score", "cost", "good"], ["cost <= 4.5"])


class TestTied(ProblemContract):
    def make_problem(self) -> Problem:
        rules: dict[str, Any] = {"ties": [["b0", "b3"]], "pins": {"b1": {"operator": "conv"}}}
        return TableProblem(made_tables(4, 5), ["mean:score", "good"], ["-3 <= cost <= 9", "score >= 0"], **rules)


class TestOwnFunctions(ProblemContract):
    def make_problem(self) -> Problem:
        limits = ["max:cost <= 4", "distinct(operator) <= 2", lambda networks: networks.column("cost").sum(axis=1) - 3]
        return TableProblem(made_tables(5, 4), ["score", widest, spread, careful], limits)


def test_functions_see_networks_as_the_tables_have_them() -> None:
    tables = made_tables(2)
    networks = Networks(tables=tables, genomes=np.array([[1, 0, 1]]))
    labels = [block.labels[value] for block, value in zip(tables.blocks, (1, 0, 1), strict=True)]
    assert networks.operators.tolist() == [[label[0] for label in labels]]
    assert networks.weight_bits.tolist() == [[label[1] for label in labels]]
    assert networks.activation_bits.tolist() == [[label[2] for label in labels]]
    assert networks.column("cost").tolist() == [
        [v[i] for v, i in zip(tables.columns["cost"].values, (1, 0, 1), strict=True)]
    ]


def test_maximised_functions_are_negated() -> None:
    problem = TableProblem(made_tables(), [spread])
    values = problem.evaluate(np.array([[0, 0, 0]]))[0]
    assert values.tolist() == [[-1.0]]
    assert problem.objectives[0].maximize


def test_infos_name_units_and_sides() -> None:
    problem = TableProblem(made_tables(), ["cost", "good", widest], ["1 <= cost <= 1234567", widest])
    assert [(info.name, info.unit, info.maximize) for info in problem.objectives] == [
        ("cost", "ms", False),
        ("good", "1", True),
        ("widest", "1", False),
    ]
    assert [info.name for info in problem.constraints] == ["cost <= 1234567", "cost >= 1", "widest"]


def test_a_limit_is_met_up_to_the_rounding_of_a_sum() -> None:
    tables = Tables.from_arrays({"score": [np.array([0.1]), np.array([0.2])]})
    for limit, met in (("score <= 0.3", True), ("score >= 0.3", True), ("score <= 0.2999", False)):
        _, excess = TableProblem(tables, objectives=["score"], constraints=[limit]).evaluate(np.array([[0, 0]]))
        assert bool((excess <= 0.0).all()) is met


def test_rounding_is_in_proportion_to_what_was_added_and_not_to_what_is_left() -> None:
    assert 0.1 + 0.2 - 0.3 > 0.0
    tables = Tables.from_arrays({"score": [np.array([0.1]), np.array([0.2]), np.array([-0.3, -0.3 + 1e-9])]})
    problem = TableProblem(tables, objectives=["score"], constraints=["score <= 0"])
    _, excess = problem.evaluate(np.array([[0, 0, 0], [0, 0, 1]]))
    assert excess[0] == 0.0
    assert excess[1] == pytest.approx(1e-9)


def device_tables() -> Tables:
    plain = made_tables(4)
    rng = np.random.default_rng(0)
    for device in ("pi4", "esp32", "m7"):
        values = [rng.integers(1, 9, size=len(block)).astype(float) for block in plain.blocks]
        plain = plain.with_column(f"latency_ms@{device}", values, unit="ms", fixed=rng.random())
    return plain


def test_the_worst_device_is_the_largest_of_the_sums() -> None:
    tables = device_tables()
    problem = TableProblem(tables, ["score", "worst:latency_ms"], ["worst:latency_ms <= 14", "latency_ms@pi4 <= 12"])
    genomes = problem.space.sample(np.random.default_rng(1), 20)
    objectives, excess = problem.evaluate(genomes)
    sums = [tables.total(f"latency_ms@{device}", genomes) for device in ("pi4", "esp32", "m7")]
    np.testing.assert_allclose(objectives[:, 1], np.max(sums, axis=0))
    assert len({int(np.argmax(row)) for row in np.transpose(sums)}) > 1
    np.testing.assert_allclose(excess, np.stack([np.max(sums, axis=0) - 14, sums[0] - 12], axis=1))
    assert problem.additive is None
    assert problem.objectives[1].unit == "ms"
    assert TableProblem.from_description(tables, problem.describe()).fingerprint == problem.fingerprint


def test_a_column_that_takes_the_largest_needs_no_prefix() -> None:
    values = [np.arange(1.0, 1 + len(block)) for block in made_tables().blocks]
    tables = made_tables().with_column("peak_memory_bytes", values, combine="max", fixed=2.0, unit="bytes")
    problem = TableProblem(tables, ["peak_memory_bytes"], ["peak_memory_bytes <= 3"])
    genomes = np.array([[0, 0, 0], [1, 2, 0]])
    genomes = np.minimum(genomes, tables.choices - 1)
    objectives, excess = problem.evaluate(genomes)
    wanted = np.maximum(genomes.max(axis=1) + 1.0, 2.0)
    assert objectives[:, 0].tolist() == wanted.tolist() == tables.total("peak_memory_bytes", genomes).tolist()
    assert excess[:, 0].tolist() == (wanted - 3).tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "the tables have no column energy@device"),
        ({"unit": "us"}, "column 'latency_ms@m7' is in us"),
        ({"direction": "maximize"}, "direction maximize"),
        ({"combine": "max"}, "combined by max"),
    ],
    ids=["none", "unit", "direction", "combine"],
)
def test_devices_that_cannot_be_compared_are_named(change: dict[str, Any], text: str) -> None:
    tables = device_tables()
    if change:
        values = tables.columns["latency_ms@m7"].values
        tables = tables.with_column("latency_ms@m7", values, **{"unit": "ms", **change})
    with pytest.raises(ProblemError, match=text):
        TableProblem(tables, ["worst:latency_ms" if change else "worst:energy"])


def test_sums_beyond_what_float64_holds_are_refused() -> None:
    tables = Tables.from_arrays({"score": [np.array([-1e308, 5e307]), np.array([1e308, 0.3])]})
    with pytest.raises(ProblemError, match=r"score adds up to inf, beyond 4.49e\+307: use a larger unit"):
        TableProblem(tables, ["score"])
