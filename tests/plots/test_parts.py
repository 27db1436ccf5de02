"""Steps per block against a hand-worked example and a slow reference; axes, stairs, thinning."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.pareto import nondominated
from evo_qnas.plots.blocks import operators_by_weight
from evo_qnas.plots.canvas import Axis, plain, thin
from evo_qnas.plots.front import stairs
from evo_qnas.plots.gain import steps_of
from evo_qnas.plots.subject import rows_of
from evo_qnas.problem import ObjectiveInfo, TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables


def test_steps_of_a_hand_worked_network() -> None:
    columns = {
        "score": [np.array([8.0, 5.0, 1.0]), np.array([2.0, 1.0])],
        "size_bytes": [np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0])],
    }
    problem = TableProblem(Tables.from_arrays(columns), objectives=["score", "size_bytes"])
    (first, down, up), (second, none, other) = steps_of(problem, np.array([1, 0]), quality=0, cost=1)
    assert (first, second) == ("block0", "block1")
    # From (5, 2) down to (8, 1) loses 3 for 1; up to (1, 4) gains 4 for 2.
    assert (down.rate, down.cost, down.quality, down.genome) == (3.0, -1.0, 3.0, (0, 0))
    assert (up.rate, up.cost, up.quality, up.genome) == (2.0, 2.0, -4.0, (2, 0))
    assert np.isnan(none.rate)
    assert none.genome == ()
    assert (other.rate, other.genome) == (0.5, (1, 1))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_steps_equal_a_slow_search_of_all_neighbours(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = generate_tables(4, operators=3, weight_bits=(4, 8), activation_bits=(8,), seed=seed)
    problem = TableProblem(tables, objectives=["score", "size_bytes"], ties=[["block0", "block2"]])
    genome = problem.space.sample(rng, 1)[0]
    here = problem.evaluate(genome[None])[0][0]
    for name, down, up in steps_of(problem, genome, quality=0, cost=1):
        blocks = [tables.names.index(part) for part in name.split(" + ")]
        losses, gains = [], []
        for choice in range(len(tables.blocks[blocks[0]])):
            other = genome.copy()
            other[blocks] = choice
            quality, cost = problem.evaluate(other[None])[0][0] - here
            if cost < -1e-12:
                losses.append(quality / -cost)
            elif cost > 1e-12 and quality < 0:
                gains.append(quality / -cost)
        assert down.rate == pytest.approx(min(losses), nan_ok=True) if losses else np.isnan(down.rate)
        assert up.rate == pytest.approx(max(gains), nan_ok=True) if gains else np.isnan(up.rate)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12), st.booleans(), st.booleans()
)
def test_no_point_of_the_front_lies_beyond_the_stairs(
    points: list[tuple[int, int]], flip_x: bool, flip_y: bool
) -> None:
    signs = np.array([-1.0 if flip_x else 1.0, -1.0 if flip_y else 1.0])
    values = np.unique(np.array(points, dtype=np.float64), axis=0)
    front = values[nondominated(values)] * signs
    corners = stairs(front, signs) * signs
    assert len(corners) == 2 * len(front) - 1
    # Every corner is attained: some network of the front is as good in both objectives.
    for corner in corners:
        assert ((front * signs <= corner).all(axis=1)).any()
    # Along the line x only rises and y only falls.
    assert (np.diff(corners[:, 0]) >= 0).all()
    assert (np.diff(corners[:, 1]) <= 0).all()


@pytest.mark.parametrize(
    ("info", "top", "label", "divisor"),
    [
        (ObjectiveInfo(name="size_bytes", unit="B"), 100.0, "size, bytes (less is better)", 1.0),
        (ObjectiveInfo(name="size_bytes", unit="bytes"), 5 * 1024.0**2, "size, MiB (less is better)", 1024.0**2),
        (ObjectiveInfo(name="latency_ms", unit="ms"), 3.0, "latency, ms (less is better)", 1.0),
        (ObjectiveInfo(name="macs"), 3e9, "macs, billions (less is better)", 1e9),
        (ObjectiveInfo(name="energy", unit="pJ"), 3e6, "energy, millions of pJ (less is better)", 1e6),
        (ObjectiveInfo(name="accuracy", maximize=True), 0.9, "accuracy (more is better)", 1.0),
    ],
)
def test_axis_labels(info: ObjectiveInfo, top: float, label: str, divisor: float) -> None:
    assert Axis.of(info, np.array([0.0, top, np.nan])) == Axis(label=label, divisor=divisor)


def test_no_text_becomes_mathematics() -> None:
    assert plain("$x$\n" + "a" * 99).startswith(r"\$x\$ a")
    assert len(plain("a" * 99)) == 60


@given(st.integers(1, 200), st.integers(2, 60))
def test_thinning_keeps_both_ends(count: int, most: int) -> None:
    kept = thin(count, most)
    assert kept[0] == 0
    assert kept[-1] == count - 1
    assert len(kept) == min(count, most)
    assert (np.diff(kept) > 0).all()


def test_operators_run_from_light_to_heavy() -> None:
    assert operators_by_weight(generate_tables(6, operators=4)) == ["operator3", "operator2", "operator1", "teacher"]


def test_rows_of_a_genome_of_another_length() -> None:
    assert rows_of(np.array([[0, 1]]), (0, 1, 2)).tolist() == []
