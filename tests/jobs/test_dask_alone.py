"""A Dask cluster's own sentences, with a client that stands in for a scheduler."""

from typing import Any

import pytest

from evo_qnas.errors import JobError

dask_cluster = pytest.importorskip("evo_qnas.jobs.dask_cluster", reason="needs the extra dask")


class Client:
    """Answers as a scheduler with these workers would."""

    def __init__(self, threads: dict[str, int], versions: dict[str, dict[str, str]] | None = None) -> None:
        self.threads, self.versions, self.closed = threads, versions or {}, False
        self.topics: list[str] = []

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

    def close(self) -> None:
        self.closed = True


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
