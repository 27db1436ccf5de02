"""Items handed in one after another: workers keep the task, and what dies with a worker is run again."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from evo_qnas.jobs import Lost, Pool, kept
from evo_qnas.jobs import pool as pool_module
from evo_qnas.jobs.engine import Died, Done, Engine, Here
from evo_qnas.jobs.kept import Packed, Unknown, call_kept


def square(item: int) -> int:
    return item * item


def refuse(item: int) -> int:
    raise ValueError(f"no {item}")


class Worker(Engine):
    """A worker that has a memory of its own, and counts what it is sent."""

    width = 1

    def __init__(self) -> None:
        self.contents: list[bytes | None] = []

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        self.contents.append(call.args[1])  # type: ignore[attr-defined]  # a partial of the pool
        done(call())

    def renew(self) -> None:
        """It lives for ever."""

    def close(self, *, busy: bool) -> None:
        """It stays."""


class Mortal(Engine):
    """Calls of even items wait for the next one; the item 13 ends all that is under way."""

    width = 2
    here = True

    def __init__(self) -> None:
        self.held: list[tuple[Callable[[], Any], Done]] = []
        self.renewed = 0
        self.closed_busy: bool | None = None
        self.together: list[list[Any]] = []

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        item = call.args[0]  # type: ignore[attr-defined]  # a partial of the pool
        self.held.append((call, done))
        if item % 2 == 0 and not self.renewed:
            return
        held, self.held = self.held, []
        self.together.append([each.args[0] for each, _ in held])  # type: ignore[attr-defined]  # a partial of the pool
        for each, end in held:
            end(Died("exit codes of the workers are {SIGKILL(-9)}") if item == 13 else each())

    def renew(self) -> None:
        self.renewed += 1

    def close(self, *, busy: bool) -> None:
        self.closed_busy = busy


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "_TASKS", {})


def test_a_worker_is_sent_the_task_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    monkeypatch.setattr(pool_module, "make_engine", lambda _jobs: worker)
    for _ in range(2):
        with Pool(square, jobs=2) as pool:
            for key in range(3):
                pool.submit(key, key + 5, f"item {key}")
            found = dict(pool.results())
            while len(pool):
                found |= dict(pool.results())
        assert found == {0: 25, 1: 36, 2: 49}
    content = Packed.of(square).content
    assert worker.contents == [None, None, None, content, content, content, *[None] * 3]


def test_a_worker_keeps_the_last_few_tasks() -> None:
    packed = [Packed.of(lambda item, n=n: item + n) for n in range(6)]
    for each in packed:
        assert call_kept(each.digest, None, 1, None) == Unknown()
        call_kept(each.digest, each.content, 1, None)
    assert [call_kept(each.digest, None, 1, None) for each in packed] == [Unknown(), Unknown(), 3, 4, 5, 6]


def test_what_dies_is_run_again_and_in_the_end_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mortal = Mortal()
    monkeypatch.setattr(pool_module, "make_engine", lambda _jobs: mortal)
    with caplog.at_level(logging.WARNING, "evo_qnas"), Pool(square, jobs=2) as pool:
        pool.submit(0, 2, "two")
        pool.submit(1, 13, "thirteen")
        found: dict[int, int | Lost] = {}
        while len(pool):
            found |= dict(pool.results())
    assert found == {0: 4, 1: Lost("the worker process of thirteen died 3 times")}
    assert mortal.together == [[2, 13], [2], [13], [13]], "the second time both start, the last time it is alone"
    assert "a worker process died (SIGKILL(-9)) at work on one of two, thirteen: it is run again (1 of 2 times)" in (
        caplog.text
    )
    assert mortal.closed_busy is False


def test_what_is_under_way_at_the_end_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    mortal = Mortal()
    monkeypatch.setattr(pool_module, "make_engine", lambda _jobs: mortal)
    with Pool(square, jobs=2) as pool:
        pool.submit(0, 2, "two")
        assert (pool.width, len(pool)) == (2, 1)
        assert pool.results(timeout=0.01) == []
    assert mortal.closed_busy is True


def test_an_error_of_the_task_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "make_engine", lambda _jobs: Here())
    with Pool(refuse, jobs=1) as pool:
        pool.submit(0, 7, "seven")
        with pytest.raises(ValueError, match=r"^no 7$"):
            pool.results()


def test_workers_of_this_machine_give_every_result_once() -> None:
    with Pool(square, jobs=2) as pool:
        for key in range(6):
            pool.submit(key, key, str(key))
        found = []
        while len(pool):
            found += pool.results()
    assert sorted(found) == [(key, key * key) for key in range(6)]
