import logging
import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.errors import JobError
from evo_qnas.jobs import connected, spread
from evo_qnas.jobs.call import Lost
from evo_qnas.problem.slow import _limited, _TooLongError


def square(item: int) -> int:
    return item * item


def end_once(item: tuple[int, Path]) -> int:
    """The third task ends its process the first time."""
    number, mark = item
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def end_always(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_task_gives_its_result_once(jobs: int) -> None:
    assert sorted(spread(square, range(7), jobs=jobs)) == [(item, item * item) for item in range(7)]
    assert list(spread(square, [], jobs=jobs)) == []


def test_the_task_of_a_dead_worker_is_run_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    items = [(number, tmp_path / "mark") for number in range(6)]
    names = [f"task {number}" for number in range(6)]
    with caplog.at_level(logging.WARNING, "evo_qnas"):
        assert sorted(spread(end_once, items, jobs=2, names=names)) == [(number, number) for number in range(6)]
    (told,) = [record.getMessage() for record in caplog.records]
    assert "a worker process died (SIGKILL(-9)) at work on" in told
    assert "task 3" in told
    assert "it is run again (1 of 2 times)" in told


def test_a_task_that_ends_every_worker_is_named_and_costs_no_other_result(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"task {number}" for number in range(6)]
    with caplog.at_level(logging.WARNING, "evo_qnas"):
        results = dict(spread(end_always, range(6), jobs=2, names=names, lost=lambda index, why: (index, why)))
    assert results.pop(3) == (3, "the worker process of task 3 died 3 times")
    assert results == {number: number for number in range(6) if number != 3}
    assert "at work on task 3: it is given up (2 of 2 times)" in caplog.records[-1].getMessage()


def test_without_another_result_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules["evo_qnas.jobs.spread"], "_in_processes", lambda *_: iter([(0, Lost("the worker died"))])
    )
    with pytest.raises(JobError, match=r"the worker died: what was finished is kept, run the same command again"):
        list(spread(square, [2, 3], jobs=2))


@eq.objective(per_network=True)
def crashes(networks: eq.Networks) -> float:
    if networks.genomes[0, 0] == 1 and threading.current_thread().name != "evo_qnas test":
        os.kill(os.getpid(), signal.SIGKILL)
    return float(networks.genomes.sum())


def test_a_network_that_crashes_its_worker_is_a_failed_evaluation() -> None:
    """Of four networks two crash; the others have their values, and the search goes on."""
    tables = eq.Tables.from_arrays({name: [np.array([1.0, 2.0])] * 2 for name in ("score", "size_bytes")})
    problem = eq.TableProblem(tables, objectives=[crashes, "size_bytes"])
    archive = eq.search(problem, evaluations=4, population=4, jobs=2)
    crashed = archive.genomes[:, 0] == 1
    assert (archive.evaluations.state == crashed).all()
    assert set(archive.evaluations.reasons) == set(crashed.nonzero()[0].tolist())
    assert all("died 3 times" in reason for reason in archive.evaluations.reasons.values())


def test_a_time_limit_holds_in_a_thread_too() -> None:
    """Workers of Dask run tasks in a thread, where no signal arrives."""
    ended: list[str] = []

    def run(seconds: float, rounds: int) -> None:
        try:
            with _limited(seconds):
                for _ in range(rounds):
                    threading.Event().wait(0.01)
            ended.append("done")
        except _TooLongError:
            ended.append("stopped")

    for seconds, rounds in ((0.1, 100_000), (300.0, 1)):
        thread = threading.Thread(target=run, args=(seconds, rounds), daemon=True)
        thread.start()
        thread.join(60)
    assert ended == ["stopped", "done"]


@pytest.mark.parametrize(
    "address",
    ["dask", "dask://", "dask://host", "dask://host:0", "dask://host:70000", "tcp://host:1", "ray://h:1", "x"],
)
def test_a_malformed_address_is_one_sentence(address: str) -> None:
    ray = r" \(Ray is not supported\)" if address.startswith("ray") else ""
    with (
        pytest.raises(
            JobError, match=rf"is no address of a cluster: write dask://host:port or dask\+tls://host:port{ray}$"
        ),
        connected(address),
    ):
        pass


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "distributed"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "evo_qnas.jobs.dask_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(
            JobError, match=r"needs the package distributed, which is not installed: pip install 'evo-qnas\["
        ),
        connected("dask://127.0.0.1:8786"),
    ):
        pass


def test_the_command_line_ends_with_2_and_one_sentence(tmp_path: Path) -> None:
    from evo_qnas.cli import app

    tables = eq.Tables.from_arrays({name: [np.array([1.0, 2.0])] * 2 for name in ("score", "size_bytes")})
    tables.save(tmp_path / "t.h5")
    call = ["search", str(tmp_path / "t.h5"), "-o", str(tmp_path / "a.h5"), "--cluster", "here"]
    result = CliRunner().invoke(app, call)
    assert isinstance(result.exception, JobError)
    assert not (tmp_path / "a.h5").exists()
