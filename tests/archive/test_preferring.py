"""Networks chosen by preference: bounds moved step by step, reference points, trade-offs, the knee."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.archive import Archive, Front
from evo_qnas.archive.preferring import worth_their_price
from evo_qnas.cli import app
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import Networks, TableProblem, objective
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(6, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    path = tmp_path_factory.mktemp("preferring") / "a.h5"
    return search(TableProblem(TABLES, ["score", "size_bytes"]), evaluations=400, path=path, progress=False)


def made(points: list[list[float]], *, maximize: bool = False) -> Front:
    problem = eq.DeclaredProblem([len(points)], ["cost", "gain"], maximize=["gain"] if maximize else [])
    return Archive.from_evaluations(problem, [[row] for row in range(len(points))], points).front


def test_bounds_narrow_a_front_step_by_step(archive: Archive) -> None:
    front = archive.front
    middle = float(np.median(front.objectives[:, 1]))
    small = front.where(f"size_bytes <= {middle}")
    assert small.rows.tolist() == front.rows[front.objectives[:, 1] <= middle].tolist()
    both = small.where("latency_ms <= 1000000", f"score <= {small.objectives[:, 0].max()}")
    assert len(both) == len(small)
    assert front.where().rows.tolist() == front.rows.tolist()
    least = front.objectives[:, 1].min()
    with pytest.raises(
        ArchiveError, match=rf"none of {len(front)} networks meets size_bytes <= 1: they go from {least:.6g}"
    ):
        front.where("size_bytes <= 1")
    with pytest.raises(ArchiveError, match=r"none of .* networks meets latency_ms <= 0: they go from"):
        front.where("latency_ms <= 0")
    with pytest.raises(ArchiveError, match=r"the tables have no column 'speed'"):
        front.where("speed <= 1")


def test_bounds_are_on_objectives_that_no_table_has_too() -> None:
    @objective(name="pairs")
    def pairs(networks: Networks) -> np.ndarray:
        return networks.column("score").max(axis=1)

    front = search(TableProblem(TABLES, [pairs, "size_bytes"]), evaluations=60, progress=False).front
    least = front.objectives[:, 0].min()
    with pytest.raises(ArchiveError, match=rf"networks meets pairs <= -1: they go from {least:.6g}"):
        front.where("pairs <= -1")


def test_a_reference_point_on_the_front_is_chosen(archive: Archive) -> None:
    front = archive.front
    for at in (0, 5, len(front) - 1):
        point = dict(zip(("score", "size_bytes"), front.objectives[at].tolist(), strict=True))
        assert front.choose(point).rows.tolist() == [front.rows[at]]


def test_a_reference_point_by_hand() -> None:
    front = made([[0.0, 10.0], [1.0, 4.0], [4.0, 0.0]])
    # Ranges are 4 and 10: deviations of the three are (-.25, .6), (0, 0), (.75, -.4).
    assert front.choose({"cost": 1.0, "gain": 4.0}).objectives.tolist() == [[1.0, 4.0]]
    assert front.choose({"cost": 0.1}).objectives.tolist() == [[0.0, 10.0]]
    assert front.choose({"gain": 0.1}).objectives.tolist() == [[4.0, 0.0]]
    up = made([[0.0, 1.0], [1.0, 6.0], [4.0, 9.0]], maximize=True)
    assert up.choose({"gain": 100.0}).objectives.tolist() == [[4.0, 9.0]]
    assert up.choose({"cost": 0.0, "gain": 6.0}).objectives.tolist() == [[1.0, 6.0]]


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12, unique=True),
    wish=st.tuples(st.floats(-10, 40), st.floats(-10, 40)),
)
def test_no_preference_chooses_a_beaten_network(points: list[tuple[int, int]], wish: tuple[float, float]) -> None:
    front = made([list(map(float, point)) for point in points])
    for chosen in (front.choose({"cost": wish[0], "gain": wish[1]}), front.choose(), front.knee()):
        assert chosen.rows[0] in front.rows
    # What is wished for and reached is never missed.
    inside = (front.objectives <= np.array(wish)).all(axis=1)
    if inside.any():
        assert (front.choose({"cost": wish[0], "gain": wish[1]}).objectives[0] <= np.array(wish) + 1e-2).all()


def test_trade_offs_by_hand() -> None:
    # A unit of gain costs 1, then 2, then 8 of the cost.
    front = made([[0.0, 3.0], [1.0, 2.0], [3.0, 1.0], [11.0, 0.0]])
    for price, best in ((0.5, 0.0), (1.0, 1.0), (2.5, 3.0), (8.0, 11.0)):
        assert front.choose(trade_offs=f"cost per gain <= {price}").objectives[0, 0] == best
    dear = front.choose({"gain": 0.0}, trade_offs="cost per gain <= 3")
    assert dear.objectives.tolist() == [[3.0, 1.0]], "the reference point chooses among what is worth its price"
    assert worth_their_price(front.objectives, [(0, 1, 2.0)]).tolist() == [True, True, True, False]
    third = np.column_stack([front.objectives, [5.0, 5.0, 5.0, 0.0]])
    assert worth_their_price(third, [(0, 1, 2.0)]).all(), "what is better elsewhere has another reason for its price"


def test_preferences_that_cannot_be_read() -> None:
    front = made([[0.0, 1.0], [1.0, 0.0]])
    for arguments, match in (
        (({"speed": 1.0}, ()), r"the reference point names 'speed'; there are: cost, gain"),
        (({}, ()), r"the reference point names nothing"),
        (({"cost": float("nan")}, ()), r"the reference point's cost must be a number, got nan"),
        (({"cost": float("-inf")}, ()), r"the reference point's cost must be a number, got -inf"),
        ((None, "cost per speed <= 1"), r"there is no objective 'speed'"),
        ((None, "cost <= 1"), r"trade-off 'cost <= 1' cannot be read: write 'size_bytes per score <= 2000'"),
        ((None, "cost per gain >= 1"), r"cannot be read"),
        ((None, "cost per gain"), r"cannot be read"),
    ):
        with pytest.raises(ArchiveError, match=match):
            front.choose(arguments[0], trade_offs=arguments[1])
    with pytest.raises(ArchiveError, match=r"there is no network to choose from"):
        front.chosen(np.empty(0, dtype=np.int64)).choose()


def test_the_command_line_prefers(archive: Archive) -> None:
    def printed(*arguments: str) -> list[str]:
        result = CliRunner().invoke(app, ["front", str(archive.path), "--format", "csv", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout.splitlines()

    point = archive.front.objectives[3]
    lines = printed("--prefer", f"score={float(point[0])!r}", "--prefer", f"size_bytes={float(point[1])!r}")
    assert len(lines) == 2
    assert lines[1].startswith(f"{archive.front.ids[3]},{archive.front.rows[3]},")
    assert printed("--knee")[1].startswith(f"{archive.knee().ids[0]},")
    assert len(printed("--trade-off", "size_bytes per score <= 3000")) == 2
    assert Path(str(archive.path)).exists()
    with pytest.raises(ArchiveError, match=r"--prefer 'score' cannot be read"):
        printed("--prefer", "score")
