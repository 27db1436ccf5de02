"""A real Dask cluster on this machine: the same archive and tables as one process, also where a worker is killed."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.compare import compare
from evo_qnas.errors import JobError
from evo_qnas.jobs import connected, spread
from evo_qnas.search import search, unbroken_replay
from tests.jobs.clusters import dask_cluster, problem

pytest.importorskip("distributed", reason="needs the extra dask: pip install 'evo-qnas[dask]'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

Workers = tuple[str, Sequence[int]]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Workers]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with dask_cluster(folder) as made:
        yield made


def killed_when(ready: Callable[[], bool], pid: int) -> threading.Thread:
    """Kills a process as soon as something is so."""

    def run() -> None:
        while not ready():
            time.sleep(0.005)
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def same(one: Archive, other: Archive) -> bool:
    pairs = [(one.genomes, other.genomes), (one.objectives, other.objectives), (one.front.rows, other.front.rows)]
    pairs += [(one.history.hypervolume, other.history.hypervolume)]
    return all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("kill", [False, True])
def test_a_search_on_two_workers_gives_the_archive_of_one_process(
    cluster: Workers, tmp_path: Path, kill: bool, caplog: pytest.LogCaptureFixture
) -> None:
    alone = search(problem(), evaluations=120, population=20, path=tmp_path / "alone.h5")
    address, pids = cluster
    marks = tmp_path / "cluster"
    if kill:
        killed_when(lambda: len(list(marks.glob(f"{pids[0]}-*"))) >= 20, pids[0])
    with caplog.at_level(logging.WARNING, "evo_qnas"):
        spread_out = search(problem(), evaluations=120, population=20, path=tmp_path / "there.h5", cluster=address)
    assert same(alone, spread_out)
    assert same(alone, Archive.load(tmp_path / "there.h5"))
    workers = {int(path.name.partition("-")[0]) for path in marks.glob("*-*")}
    assert set(pids) <= workers
    lost = [record.getMessage() for record in caplog.records if "Dask lost its worker" in record.getMessage()]
    assert len(lost) == kill
    assert all("at work on network [" in text for text in lost)


@pytest.mark.parametrize("kill", [False, True])
def test_an_asynchronous_search_on_two_workers_is_the_unbroken_replay(
    cluster: Workers, tmp_path: Path, kill: bool, caplog: pytest.LogCaptureFixture
) -> None:
    address, pids = cluster
    marks = tmp_path / "cluster"
    if kill:
        killed_when(lambda: len(list(marks.glob(f"{pids[0]}-*"))) >= 10, pids[0])

    def search_on(path: Path, evaluations: int) -> Archive:
        settings = {"evaluations": evaluations, "population": 15, "asynchronous": True, "path": path}
        return search(problem(), cluster=address, **settings)

    with caplog.at_level(logging.WARNING, "evo_qnas"):
        search_on(tmp_path / "there.h5", 40)
        archive = search_on(tmp_path / "there.h5", 60)
    replayed = unbroken_replay(problem(), archive)
    assert same(archive, replayed)
    assert np.array_equal(archive.asks, replayed.asks)
    assert not archive.evaluations.state.any()
    assert set(pids) <= {int(path.name.partition("-")[0]) for path in marks.glob("*-*")}
    lost = [record.getMessage() for record in caplog.records if "Dask lost its worker" in record.getMessage()]
    assert len(lost) == kill
    assert all("at work on network [" in text for text in lost)


def _dies_with(item: Path) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _fine(item: int) -> int:
    return item + 1


def _either(item: int | Path) -> int:
    return _fine(item) if isinstance(item, int) else _dies_with(item)


def test_a_task_that_kills_every_worker_is_given_up_and_the_others_are_kept(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    with dask_cluster(tmp_path / "c", failures=0) as (address, _), connected(address) as slots:
        assert slots == 2
        results = dict(spread(_either, [1, tmp_path, 3], jobs=-1, lost=lambda _, why: -len(why)))
    assert (results[0], results[2]) == (2, 4)
    assert results[1] < 0


def test_a_comparison_on_two_workers_is_that_of_one_process(cluster: Workers, tmp_path: Path) -> None:
    table = problem()
    fast = type(table)(table.tables, objectives=["score", "size_bytes"])
    alone = compare(fast, ["nsga2", "random"], seeds=2, evaluations=200, path=tmp_path / "alone")
    there = compare(fast, ["nsga2", "random"], seeds=2, evaluations=200, path=tmp_path / "there", cluster=cluster[0])
    columns = [name for name in alone.to_dataframe().columns if not name.startswith("seconds")]
    assert alone.to_dataframe()[columns].equals(there.to_dataframe()[columns])


def test_workers_of_many_threads_are_refused(tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as made:
        address = made.scheduler_address
        if not address.startswith("tcp://"):
            pytest.skip("this Dask starts threads without a port")
        with pytest.raises(JobError, match="start it with --nthreads 1"), connected(address.replace("tcp", "dask")):
            pass
