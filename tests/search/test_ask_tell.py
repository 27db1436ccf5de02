"""Ask and tell: answers in any order, some never, kills, networks that nobody asked for, algorithms of one's own."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError, EvaluationError, ProblemError, SearchError
from evo_qnas.problem import TableProblem
from evo_qnas.search import ALGORITHMS, AskTell, AskTellOptimizer, optimizer, search
from evo_qnas.search.local import LocalSearch
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.random_search import RandomSearch
from evo_qnas.search.surrogate import Surrogate
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables
from evo_qnas.testing import AlgorithmContract

NAMES = [name for name in ALGORITHMS if name != "age-moea2"]
TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


def problem() -> TableProblem:
    return TableProblem(TABLES, objectives=["score", "size_bytes"], constraints=["latency_ms <= 9"])


def answer(asked: AskTellOptimizer, genomes: np.ndarray) -> None:
    """Tells the values of a problem whose objectives are all minimised."""
    if len(genomes):
        asked.tell(genomes, *asked.problem.evaluate(genomes))


class Hill:
    """An algorithm of one's own: the best network so far with one choice changed."""

    def __init__(self, problem: Any, seed: int, rate: int = 1) -> None:
        self.space = problem.space
        self.rng = np.random.default_rng(seed)
        self.rate = rate
        self.best: np.ndarray | None = None
        self.value = np.inf

    def ask(self, n: int) -> np.ndarray:
        drawn = self.space.sample(self.rng, n)
        if self.best is not None:
            keep = self.rng.random(drawn.shape) > self.rate / drawn.shape[1]
            drawn = np.where(keep, self.best, drawn)
        return drawn

    def tell(self, genomes: np.ndarray, objectives: np.ndarray, constraints: np.ndarray) -> None:
        values = np.where((constraints <= 0).all(axis=1), objectives.sum(axis=1), np.inf)
        values = np.where(np.isnan(values), np.inf, values)
        if values.min(initial=np.inf) < self.value:
            self.best, self.value = genomes[values.argmin()].copy(), float(values.min())


class TestHill(AlgorithmContract):
    def make_algorithm(self) -> type[Hill]:
        return Hill


@pytest.mark.parametrize("name", [*NAMES, "own"])
def test_generations_answered_whole_are_the_course_of_a_search(name: str) -> None:
    algorithm = Hill if name == "own" else name
    evaluations = 30 if name == "surrogate" else 150
    whole = search(problem(), algorithm=algorithm, evaluations=evaluations, population=20, seed=3, progress=False)
    asked = optimizer(problem(), algorithm, evaluations=max(evaluations, len(whole)), population=20, seed=3)
    while len(genomes := asked.ask()):
        answer(asked, genomes)
    np.testing.assert_array_equal(asked.archive.genomes, whole.genomes)
    np.testing.assert_array_equal(asked.archive.evaluations.generation, whole.evaluations.generation)
    np.testing.assert_array_equal(asked.archive.front.rows, whole.front.rows)


def test_the_order_of_answers_within_a_generation_is_of_no_account() -> None:
    whole = search(problem(), algorithm="moead", evaluations=100, population=20, progress=False)
    asked = optimizer(problem(), "moead", population=20)
    size = int((whole.evaluations.generation == 0).sum())
    for _ in range(100 // size):
        genomes = asked.ask(size)
        for at in np.random.default_rng(1).permutation(size):
            answer(asked, genomes[[at]])
    assert {row.tobytes() for row in asked.archive.genomes} == {row.tobytes() for row in whole.genomes}


def course(asked: AskTellOptimizer, steps: int, seed: int, *, workers: int = 8, lost: float = 0.1) -> list[bytes]:
    """What is asked for by some workers that answer in a random order, some never."""
    rng = np.random.default_rng(seed)
    handed: list[bytes] = []
    working: list[np.ndarray] = []
    for _ in range(steps):
        new = asked.ask(workers - len(working))
        handed += [genome.tobytes() for genome in new]
        working += list(new)
        if not working:
            break
        genome = working.pop(int(rng.integers(len(working))))
        if rng.random() >= lost:
            answer(asked, genome[None])
    return handed


@pytest.mark.parametrize("name", [*NAMES, "own"])
def test_answers_in_any_order_and_some_never(name: str) -> None:
    algorithm = Hill if name == "own" else name
    steps = 15 if name == "surrogate" else 120
    runs = [course(optimizer(problem(), algorithm, population=12, seed=1), steps, seed=5) for _ in range(2)]
    assert runs[0] == runs[1], "the course is a function of the order of asks and answers"
    assert len(set(runs[0])) == len(runs[0]), "no network is handed out twice"
    assert len(runs[0]) > (12 if name == "exact" else steps), "workers are never idle"


def test_a_search_goes_on_whose_answers_are_nearly_all_lost() -> None:
    asked = optimizer(problem(), "nsga2", population=10, seed=0)
    asked.ask(500)
    handed = asked.ask(40)
    assert len(handed) == 40, "random networks fill in"
    answer(asked, handed[:4])
    assert len(asked.ask(10)) == 10
    assert len(asked.pending) == 546


def test_a_generation_that_is_half_answered_gives_way_to_the_next() -> None:
    asked = optimizer(problem(), "moead", population=10, seed=0)
    first = asked.ask(10)
    answer(asked, first[:5])
    second = asked.ask(10)
    assert len({genome.tobytes() for genome in np.concatenate([first, second])}) == 20
    answer(asked, first[5:])
    assert len(asked.archive) == 10
    assert len(asked.pending) == 10


@pytest.mark.parametrize("name", ["nsga2", "moead", "local", "random"])
def test_resumed_it_goes_on_and_nothing_told_is_lost(name: str, tmp_path: Path) -> None:
    path = tmp_path / "told.h5"
    with optimizer(problem(), name, population=10, seed=2, path=path) as asked:
        course(asked, 60, seed=1)
        told, pending = asked.archive.genomes, asked.pending
        assert len(pending)
    with optimizer(problem(), name, population=10, seed=2, path=path) as again:
        np.testing.assert_array_equal(again.archive.genomes, told)
        np.testing.assert_array_equal(again.ask(len(pending)), pending)
        course(again, 30, seed=9)
        longer = again.archive.genomes
    np.testing.assert_array_equal(Archive.load(path).genomes, longer)
    with optimizer(problem(), name, population=10, seed=2, path=path) as third:
        course(third, 10, seed=3)
        assert len(third) > len(longer)


KILLED = """
import sys
import numpy as np
sys.path.insert(0, {folder!r})
from tests.search.test_ask_tell import problem
import evo_qnas as eq
asked = eq.optimizer(problem(), "nsga2", seed=4, path={path!r}, population=20)
rng = np.random.default_rng(len(asked))
working = []
with open({log!r}, "a") as log:
    while True:
        working += list(asked.ask(8 - len(working)))
        genome = working.pop(int(rng.integers(len(working))))
        asked.tell(genome, *asked.problem.evaluate(genome[None]))
        log.write(",".join(map(str, genome.tolist())) + chr(10))
        log.flush()
"""


def killed(path: Path, log: Path, lines: int) -> list[list[int]]:
    """What a loop with eight pending answers had told when it was killed, after so many more lines in its log."""
    before = len(log.read_text().splitlines()) if log.exists() else 0
    folder = str(Path(__file__).resolve().parents[2])
    code = KILLED.format(folder=folder, path=str(path), log=str(log))
    running = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": folder})
    try:
        while running.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < before + lines):
            time.sleep(0.005)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    whole = log.read_text()
    return [[int(value) for value in line.split(",")] for line in whole[: whole.rfind("\n")].splitlines()]


def test_a_killed_loop_loses_nothing_told(tmp_path: Path) -> None:
    path, log = tmp_path / "told.h5", tmp_path / "log.txt"
    for lines in (30, 12):
        told = killed(path, log, lines)
        there = Archive.load(path).genomes.tolist()
        assert there[: len(told)] == told
        assert len(there) <= len(told) + 1, "the one that was being told may be there too"
        log.write_text("".join(",".join(map(str, row)) + "\n" for row in there))
    with optimizer(problem(), "nsga2", seed=4, path=path, population=20) as asked:
        assert len(asked.pending) == 0
        assert len(asked.ask(8)) == 8


def test_networks_that_nobody_asked_for_are_known(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    genomes = problem().space.sample(np.random.default_rng(0), 30)
    with optimizer(problem(), "nsga2", population=10, path=path) as asked:
        answer(asked, genomes)
        answer(asked, genomes)
        assert len(asked) == len(np.unique(genomes, axis=0))
        answer(asked, asked.ask(10))
        more = asked.ask(10)
    with optimizer(problem(), "nsga2", population=10, path=path) as again:
        np.testing.assert_array_equal(again.ask(10), more)


@pytest.mark.parametrize(
    ("name", "kind"), [("nsga2", NSGA2), ("surrogate", Surrogate), ("local", LocalSearch), ("random", RandomSearch)]
)
def test_an_algorithm_learns_of_networks_that_it_did_not_ask_for(
    name: str, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[np.ndarray] = []

    def tell(self: Any, genes: np.ndarray, *values: np.ndarray) -> None:
        told.append(genes)
        plain(self, genes, *values)

    plain = kind.tell
    monkeypatch.setattr(kind, "tell", tell)
    asked = optimizer(problem(), name, seed=0, population=6, seeding=False, reduce=False)
    other = np.full((1, 5), 17)
    answer(asked, other)
    tried = []
    while not told:
        tried.append(asked.ask(4))
        answer(asked, tried[-1])
    assert not (np.concatenate(tried) == other).all(axis=1).any()
    assert (told[0] == asked.problem.space.encode(other)).all(axis=1).any()


def test_what_is_told_is_checked() -> None:
    made = TableProblem(TABLES, objectives=["score", "size_bytes"], constraints=["latency_ms <= 9"])
    asked = optimizer(made, "random")
    genomes = asked.ask(2)
    for values, match in (
        (([[1.0, 2.0]],), r"tell: objectives need the shape \(2, 2\), columns score, size_bytes, got \(1, 2\)"),
        (([["a", 2.0], [1.0, 2.0]],), r"tell: objectives must be numbers"),
        (([[1.0, 2.0]] * 2, [1.0, 2.0, 3.0]), r"tell: constraints need the shape \(2, 1\)"),
    ):
        with pytest.raises(ProblemError, match=match):
            asked.tell(genomes, *values)
    with pytest.raises(ProblemError, match=r"genomes must be whole numbers"):
        asked.tell([[0.5] * 5], [[1.0, 2.0]])
    with pytest.raises(ProblemError, match=r"genome 0 has the value 99"):
        asked.tell([[99] * 5], [[1.0, 2.0]])
    with pytest.raises(SearchError, match=r"n must be a whole number of at least 1, got 0"):
        asked.ask(0)
    assert len(asked) == 0
    asked.tell(genomes[0], [1.0, np.nan])
    assert asked.archive.evaluations.state.tolist() == [1]
    assert asked.archive.evaluations.reasons == {0: "no number was told"}
    asked.tell(genomes[1], [1.0, 2.0])
    assert asked.archive.constraints[1, 0] == made.evaluate(genomes)[1][1, 0], "limits of columns are known"


def test_maximised_objectives_are_told_as_they_are() -> None:
    tables = Tables.from_arrays({"cost": [np.arange(3.0)] * 4, "gain": [np.array([5.0, 1.0, 2.0])] * 4})
    tables = tables.with_column("more", tables.column("gain").values, direction="maximize")
    made = TableProblem(tables, objectives=["cost", "more"])
    asked = optimizer(made, "random", seeding=False)
    genomes = asked.ask(3)
    with pytest.raises(ProblemError, match=r"tell: more is maximised: give its values as they are, not negated"):
        asked.tell(genomes, *made.evaluate(genomes))
    asked.tell(genomes, made.evaluate(genomes)[0] * [1, -1])
    np.testing.assert_array_equal(asked.archive.evaluations.objectives, made.evaluate(genomes)[0])


def test_a_problem_of_names_alone() -> None:
    made = eq.DeclaredProblem({"a": 4, "b": 5}, ["error", "accuracy"], ["memory"], maximize=["accuracy"])
    asked = eq.optimizer(made, seed=1, evaluations=12, population=6)
    while len(genomes := asked.ask(4)):
        values = np.stack([genomes.sum(axis=1), genomes[:, 0]], axis=1).astype(float)
        with pytest.raises(ProblemError, match=r"tell: the problem has limits \(memory\): give their excesses"):
            asked.tell(genomes, values)
        asked.tell(genomes, values, genomes[:, 1] - 3.0)
    assert asked.stop_reason == "budget"
    front = asked.archive.front
    assert len(asked) == 12
    assert (front.genomes[:, 1] <= 3).all()
    assert front.objectives.min() >= 0
    with pytest.raises(EvaluationError, match=r"a declared problem has no values"):
        search(made, evaluations=10, progress=False)
    for arguments, match in (
        (([2], []), r"a problem needs an objective"),
        (([2], ["a", "a"]), r"each name once"),
    ):
        with pytest.raises(ProblemError, match=match):
            eq.DeclaredProblem(*arguments)
    with pytest.raises(ProblemError, match=r"maximize names 'b', which is no objective"):
        eq.DeclaredProblem([2], ["a"], maximize=["b"])


def test_a_class_of_ones_own_in_search_and_compare(tmp_path: Path) -> None:
    found = search(problem(), algorithm=Hill, evaluations=100, population=10, progress=False)
    assert found.header.algorithm == "Hill"
    once = search(problem(), algorithm=Hill(problem(), 0), evaluations=50, population=10, progress=False)
    np.testing.assert_array_equal(once.genomes, found.genomes[:50])
    kinds = {"hill": Hill, "wild": partial(Hill, rate=3), "nsga2": "nsga2"}
    made = eq.compare(problem(), kinds, seeds=2, evaluations=80, path=tmp_path, progress=False)
    assert {result.run.evaluations for result in made.results} == {80}
    assert not made.failures
    with pytest.raises(SearchError, match=r"Hill: an object with ask and tell serves one run only"):
        eq.compare(problem(), [Hill(problem(), 0)], seeds=1, evaluations=10, progress=False)
    with pytest.raises(SearchError, match=r"<lambda> gives a dict without ask\(n\) and tell"):
        search(problem(), algorithm=lambda problem, seed: {}, evaluations=10, progress=False)
    assert isinstance(Hill(problem(), 0), AskTell)


def test_two_writers_and_other_searches_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    asked = optimizer(problem(), path=path)
    with pytest.raises(ArchiveError, match=r"is being written by process"):
        optimizer(problem(), path=path)
    answer(asked, asked.ask(3))
    assert len(Archive.load(path)) == 3, "what is told is there for others at once"
    asked.close()
    with pytest.raises(ArchiveError, match=r"holds another search \(answers: told before, None now\)"):
        search(problem(), evaluations=100, path=path, progress=False)
    with pytest.raises(ArchiveError, match=r"holds another search \(algorithm: nsga2 before, random now"):
        optimizer(problem(), "random", path=path)
    again = optimizer(problem(), path=path)
    assert repr(again) == "AskTellOptimizer(nsga2: 3 networks told, 0 pending)"
    finished = again.finish()
    assert finished.finished
    assert Archive.load(path).extras["ending"] == "finished by its user"


def test_a_forgotten_optimizer_lets_its_file_go(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    asked = optimizer(problem(), path=path)
    answer(asked, asked.ask(3))
    del asked
    with optimizer(problem(), path=path) as again:
        assert len(again) == 3
