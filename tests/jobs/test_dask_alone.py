"""A Dask cluster's own sentences, with a client that stands in for a scheduler."""

import logging
from functools import partial
from typing import Any

import pytest

from evo_qnas.errors import JobError
from evo_qnas.jobs import Lost

dask_cluster = pytest.importorskip("evo_qnas.jobs.dask_cluster", reason="needs the extra dask")


class Client:
    """Answers as a scheduler with these workers would."""

    def __init__(self, threads: dict[str, int], versions: dict[str, dict[str, str]] | None = None) -> None:
        self.threads, self.versions, self.closed = threads, versions or {}, False
        self.topics: list[str] = []
        self.futures: dict[str, Future] = {}

    def nthreads(self) -> dict[str, int]:
        return self.threads

    def wait_for_workers(self, _count: int, timeout: float) -> None:
        raise TimeoutError

    def run(self, _function: Any) -> dict[str, dict[str, str]]:
        return self.versions

    def subscribe_topic(self, topic: str, _report: Any) -> None:
        self.topics.append(topic)

    def unsubscribe_topic(self, topic: str) -> None:
        self.topics.remove(topic)

    def submit(self, call: Any, *, key: str, pure: bool) -> "Future":
        assert not pure
        self.futures[key] = Future(call)
        return self.futures[key]

    def cancel(self, futures: list["Future"]) -> None:
        for future in futures:
            future.end("cancelled")

    def close(self) -> None:
        self.closed = True


class Future:
    """Ends when a test says so."""

    def __init__(self, call: Any) -> None:
        self.call, self.status, self.error = call, "pending", None
        self.callbacks: list[Any] = []

    def add_done_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)

    def end(self, status: str, error: Any = None) -> None:
        self.status, self.error = status, error
        for callback in self.callbacks:
            callback(self)

    def result(self) -> Any:
        return self.call()

    def exception(self) -> Any:
        return self.error


def cluster(client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dask_cluster, "Client", lambda *_arguments, **_options: client)
    return dask_cluster.DaskCluster("dask://here:1", "tcp://here:1")


def test_slots_are_workers_and_none_left_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = dask_cluster._versions()
    client = Client({"a": 1, "b": 1}, {"a": versions, "b": versions})
    found = cluster(client, monkeypatch)
    assert found.slots() == 2
    client.threads = {}
    with pytest.raises(JobError, match=r"dask://here:1 has no worker left: start some, and run the same command"):
        found.slots()
    with found.watched():
        assert client.topics == ["all"]
    assert client.topics == []
    found.close()
    assert client.closed


def test_workers_that_would_give_other_results_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    several = Client({"a": 4})
    with pytest.raises(JobError, match=r"worker a runs 4 tasks in one process.*start it with --nthreads 1"):
        cluster(several, monkeypatch)
    assert several.closed
    other = Client({"a": 1}, {"a": {"Python": "2.7", "evo-qnas": "0"}})
    with pytest.raises(JobError, match=r"worker a runs Python 2\.7.*use the same versions"):
        cluster(other, monkeypatch)
    with pytest.raises(JobError, match=r"dask://here:1 has no worker: start some with"):
        cluster(Client({}), monkeypatch)


def test_a_lost_connection_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = cluster(Client({"a": 1}, {"a": dask_cluster._versions()}), monkeypatch)
    with pytest.raises(JobError, match=r"the connection to dask://here:1 was lost"), found.watched():
        raise dask_cluster.CancelledError


def test_calls_end_with_a_result_an_error_or_what_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client({"a": 1}, {"a": dask_cluster._versions()})
    found, ended = cluster(client, monkeypatch), dict[int, Any]()
    for number in range(5):
        found.submit(f"network {number}", lambda number=number: number * 10, partial(ended.__setitem__, number))
    killed = dask_cluster.KilledWorker("key", _Last(), 2)
    futures, mistake = list(client.futures.values()), ValueError("mine")
    for future, status, error in zip(
        futures, ("finished", "error", "error", "cancelled"), (None, mistake, killed, None), strict=False
    ):
        future.end(status, error)
    assert ended[0] == 0
    assert ended[1] is mistake
    assert ended[2] == Lost("3 workers of the Dask cluster died at work on it")
    assert isinstance(ended[3], JobError)
    assert "the connection to dask://here:1 was lost" in str(ended[3])
    found.cancel()
    assert (futures[4].status, 4 in ended) == ("cancelled", False)


def test_a_lost_worker_is_reported_with_the_names_of_its_tasks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client({"a": 1}, {"a": dask_cluster._versions()})
    found = cluster(client, monkeypatch)
    found.submit("network [0, 1]", int, print)
    keys = [*client.futures, "another's"]
    with caplog.at_level(logging.WARNING, "evo_qnas"):
        found._report((0.0, {"action": "remove-worker", "worker": "tcp://a", "processing-tasks": keys}))
        found._report((0.0, {"action": "remove-worker", "worker": "tcp://b", "processing-tasks": ["another's"]}))
        found._report((0.0, {"action": "add-worker"}))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "Dask lost its worker tcp://a at work on network [0, 1]: the task is run again by another one"


class _Last:
    address = "tcp://a"
