"""Asynchronous search: a function of the seed and of the order of answers, whatever order that is."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError, EvaluationError
from evo_qnas.jobs import pool as pool_module
from evo_qnas.jobs.engine import Done, Engine
from evo_qnas.problem import LookupProblem, TableProblem
from evo_qnas.search import search, unbroken_replay
from evo_qnas.search.ask_tell import Course
from evo_qnas.search.setup import prepared
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


class Threads(Engine):
    """Workers that are threads: they answer in whatever order their sleeps end."""

    here = True

    def __init__(self, width: int) -> None:
        self.width = width
        self._threads = ThreadPoolExecutor(width)

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        self._threads.submit(lambda: done(call()))

    def renew(self) -> None:
        """Threads do not die."""

    def close(self, *, busy: bool) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "make_engine", Threads)


def coupled(networks: eq.Networks) -> float:
    """No sum, in unequal times; one network in nine fails."""
    genome = networks.genomes[0]
    time.sleep(0.0005 * (genome.sum() % 5))
    if genome.sum() % 9 == 0:
        raise ValueError("one in nine")
    score = networks.column("score")[0]
    return float(score.sum() + (score[1:] * score[:-1]).sum())


def problem(function: Callable[[eq.Networks], float] = coupled, **options: Any) -> TableProblem:
    objective = eq.objective(per_network=True, unit="1", name="coupled", **options)(function)
    return TableProblem(TABLES, objectives=[objective, "size_bytes"], constraints=["latency_ms <= 9"])


def run(**options: Any) -> Archive:
    settings = {"evaluations": 90, "population": 20, "jobs": 4, "asynchronous": True, "progress": False, "seed": 3}
    return search(options.pop("problem", None) or problem(), **{**settings, **options})


def assert_as_unbroken(archive: Archive) -> None:
    replayed = unbroken_replay(problem(), archive)
    for name in ("genomes", "objectives", "constraints", "generation", "state"):
        one, other = (getattr(each.evaluations, name) for each in (archive, replayed))
        np.testing.assert_array_equal(one, other, err_msg=name)
    assert archive.evaluations.reasons == replayed.evaluations.reasons
    np.testing.assert_array_equal(archive.asks, replayed.asks)
    np.testing.assert_array_equal(archive.front.rows, replayed.front.rows)


@pytest.mark.parametrize("algorithm", ["nsga2", "local", "random", "moead", "surrogate"])
def test_the_archive_is_the_unbroken_replay_of_its_order_of_answers(algorithm: str) -> None:
    archive = run(algorithm=algorithm, evaluations=40 if algorithm == "surrogate" else 90)
    assert len(archive) == archive.header.settings["evaluations"]
    assert len(np.unique(archive.genomes, axis=0)) == len(archive)
    failed = archive.genomes.sum(axis=1) % 9 == 0
    np.testing.assert_array_equal(archive.evaluations.state == 1, failed)
    assert set(archive.evaluations.reasons.values()) == {"objective 'coupled' raised ValueError: one in nine"}
    assert (archive.extras["ending"], archive.finished) == ("budget", True)
    assert_as_unbroken(archive)


def test_broken_off_and_gone_on_with_by_other_numbers_of_workers_it_is_the_unbroken_replay(tmp_path: Path) -> None:
    path, last = tmp_path / "a.h5", 0
    for jobs, end in ((4, 30), (1, 45), (7, 70)):

        def stop(archive: Archive, end: int = end) -> bool:
            return len(archive) >= end

        archive = run(path=path, jobs=jobs, callback=stop)
        assert last < len(archive) < 90
        assert (archive.extras["ending"], list(tmp_path.iterdir())) == ("callback", [path])
        last = len(archive)
    assert_as_unbroken(run(path=path, jobs=3))
    longer = run(path=path, evaluations=120)
    assert len(longer) == 120
    assert (longer.asks[:, 1] == 0).any(), "what was under way was handed out again after each break"
    assert_as_unbroken(Archive.load(path))


def test_what_was_answered_before_an_error_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"

    def stop(archive: Archive) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(path=path, callback=stop)
    assert 20 <= len(Archive.load(path)) < 90
    assert_as_unbroken(run(path=path))


def test_no_worker_waits_for_the_slowest_network() -> None:
    """The first network ends when three generations of others have: where one waited for it, that would be never."""
    others, first = threading.Event(), threading.Event()
    count, ended = iter(range(1000)), []

    def held(networks: eq.Networks) -> float:
        if not first.is_set():
            first.set()
            ended.append(others.wait(60))
        elif next(count) == 60:
            others.set()
        return float(networks.column("score").sum())

    archive = run(problem=problem(held))
    assert ended == [True]
    assert len(archive) == 90
    assert archive.evaluations.generation.max() >= 3


def test_of_one_worker_the_course_is_that_of_the_seed() -> None:
    one, other, another = run(jobs=1), run(jobs=1), run(jobs=1, seed=4)
    np.testing.assert_array_equal(one.genomes, other.genomes)
    assert not np.array_equal(one.genomes, another.genomes)


def test_a_generation_begins_when_all_of_the_last_is_handed_out() -> None:
    """Ask and tell would fill in random networks until half of a generation was answered."""
    additive = TableProblem(TABLES, objectives=["score", "size_bytes"])

    def generations(*, steady: bool) -> tuple[list[int], np.ndarray]:
        settings = {"population": 10, "seed": 0, "seeding": False, "reduce": True, "variation": "default"}
        ready = prepared(additive, "nsga2", evaluations=None, **settings)
        course = Course(ready.optimizer, ready.context, budget=None, fills=True, steady=steady)
        first, found = course.ask(10), []
        for genome in first:
            course.answer(genome.tobytes(), *(values[0] for values in additive.evaluate(genome[None])))
        for _ in range(3):
            genomes = course.ask(10)
            course.answer(genomes[0].tobytes(), *(values[0] for values in additive.evaluate(genomes[:1])))
            found.append(course.generation)
        return found, first

    (steady, shuffled), (waiting, plain) = generations(steady=True), generations(steady=False)
    assert steady == [1, 2, 3]
    assert waiting == [1, 1, 1]
    assert not np.array_equal(shuffled, plain)
    assert sorted(shuffled.tolist()) == sorted(plain.tolist())


def test_a_problem_that_fails_on_all_is_refused() -> None:
    def fails(networks: eq.Networks) -> float:
        raise ValueError("never")

    with pytest.raises(EvaluationError, match=r"^not one of \d+ networks could be evaluated: .* ValueError: never$"):
        run(problem=problem(fails))


def test_known_networks_are_not_evaluated_again() -> None:
    calls: list[bytes] = []

    def counted(networks: eq.Networks) -> float:
        calls.append(networks.genomes.tobytes())
        return coupled(networks)

    before = run(problem=problem(counted))
    assert len(calls) == 90
    after = run(problem=problem(counted), known=before, seed=4)
    again = {genome.tobytes() for genome in before.genomes}
    assert len(calls) == 90 + sum(genome.tobytes() not in again for genome in after.genomes)
    assert any(genome.tobytes() in again for genome in after.genomes)


def test_an_archive_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    run(path=tmp_path / "a.h5")
    with pytest.raises(ArchiveError, match=r"holds another search \(asynchronous: True before, None now\)"):
        run(path=tmp_path / "a.h5", asynchronous=False, jobs=1)


def test_it_ends_by_time_and_by_targets() -> None:
    assert run(time_limit=1e-9).extras["ending"] == "time limit"
    assert run(until="feasible >= 1").extras["ending"] == "the target is met: feasible >= 1.0"


def test_a_space_that_is_exhausted_ends_it() -> None:
    genomes = np.stack(np.unravel_index(np.arange(12), (3, 4)), axis=1)
    small = LookupProblem(genomes, {"error": np.arange(12.0), "size": np.arange(12.0)[::-1]})
    archive = run(problem=small)
    assert (len(archive), archive.extras["ending"]) == (12, "exhausted")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with a slow objective, as the command line names it."""
    (tmp_path / "evo_qnas_test_mine.py").write_text(
        "import evo_qnas as eq\n\n@eq.objective(per_network=True, unit='1')\n"
        "def mine(networks: eq.Networks) -> float:\n    return float(networks.column('score').max())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "evo_qnas_test_mine:mine"


def test_the_command_line_has_it(tmp_path: Path, module: str) -> None:
    from evo_qnas.cli import app

    TABLES.save(tmp_path / "t.h5")
    call = ["search", str(tmp_path / "t.h5"), "-o", str(tmp_path / "a.h5"), "--objective", module]
    call += ["--objective", "size_bytes", "--evaluations", "40", "--population", "10", "--asynchronous", "--jobs", "3"]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.output
    archive = Archive.load(tmp_path / "a.h5")
    assert archive.header.settings["asynchronous"] is True
    assert len(archive.asks) > 3
