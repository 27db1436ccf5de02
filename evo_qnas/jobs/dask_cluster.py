"""Workers of a Dask cluster."""

import asyncio
import logging
import platform
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Any, final

from distributed import Client, KilledWorker
from joblib._dask import DaskDistributedBackend

from evo_qnas.errors import JobError
from evo_qnas.jobs.call import Lost
from evo_qnas.jobs.cluster import Cluster

logger = logging.getLogger(__name__)

# Time that a busy scheduler or a starting worker may take before it counts as absent.
_WAIT_SECONDS = 10
_CALL = "evo-qnas"
_OURS = re.compile(r"batch_of_(.*)_1_calls-[0-9a-f]{32}")


@final
class DaskCluster(Cluster):
    """The workers of a Dask scheduler."""

    def __init__(self, address: str, scheduler: str) -> None:
        self._address = address
        self._calls: dict[str, tuple[str, Any]] = {}
        try:
            self._client = Client(scheduler, timeout=_WAIT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            certificates = " with certificates that fit those of this process" if scheduler.startswith("tls") else ""
            raise JobError(
                f"no Dask scheduler answers at {address}{certificates}: start one with `dask scheduler`"
            ) from error
        except (TypeError, RuntimeError, ValueError) as error:
            raise JobError(
                f"{address} needs certificates: name them in Dask's configuration (distributed.comm.tls.ca-file and "
                "tls.client.cert, tls.client.key)"
            ) from error
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _check(self) -> None:
        """Refuses workers on which a task would give other results, or none."""
        if not self._client.nthreads():
            try:
                self._client.wait_for_workers(1, timeout=_WAIT_SECONDS)
            except TimeoutError as error:
                raise JobError(
                    f"{self._address} has no worker: start some with `dask worker tcp://.. --nworkers 2 --nthreads 1`"
                ) from error
        for worker, threads in self._client.nthreads().items():
            if threads > 1:
                raise JobError(
                    f"{self._address}: worker {worker} runs {threads} tasks in one process, sharing random numbers: "
                    "start it with --nthreads 1"
                )
        try:
            versions = self._client.run(_versions)
        except ModuleNotFoundError as error:
            raise JobError(f"{self._address}: a worker cannot import {error.name}: install evo-qnas there") from error
        for worker, theirs in versions.items():
            if theirs != _versions():
                raise JobError(
                    f"{self._address}: worker {worker} runs {_text(theirs)}, this process {_text(_versions())}: "
                    "use the same versions"
                )

    def backend(self) -> Any:
        """A joblib backend that survives dead workers."""
        return _Backend(client=self._client, wait_for_workers_timeout=_WAIT_SECONDS)

    def submit(self, name: str, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Hands a call to the scheduler; all have one name there, under which it learns how long they take."""
        key = f"{_CALL}-{uuid.uuid4().hex}"
        future = self._client.submit(call, key=key, pure=False)
        self._calls[key] = name, future
        future.add_done_callback(partial(self._ended, key, done))

    def _ended(self, key: str, done: Callable[[Any], None], future: Any) -> None:
        """Hands a result over, unless it was taken back."""
        if self._calls.pop(key, None) is None:
            return
        if future.status == "finished":
            done(future.result())
            return
        error = future.exception() if future.status == "error" else None
        if isinstance(error, KilledWorker):
            done(_lost(error))
        else:
            done(JobError(self._gone) if error is None else error)

    def cancel(self) -> None:
        """Takes back what has not ended; a worker goes on with what it has begun."""
        calls, self._calls = self._calls, {}
        self._client.cancel([future for _, future in calls.values()])

    @property
    def _gone(self) -> str:
        return f"the connection to {self._address} was lost: what was finished is kept, run the same command again"

    def slots(self) -> int:
        """One task per worker."""
        count = len(self._client.nthreads())
        if not count:
            raise JobError(f"{self._address} has no worker left: start some, and run the same command again")
        return count

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Reports workers that go while they have a task of ours."""
        self._client.subscribe_topic("all", self._report)
        try:
            yield
        except (CancelledError, asyncio.CancelledError) as error:
            raise JobError(self._gone) from error
        finally:
            self._client.unsubscribe_topic("all")

    def _report(self, event: tuple[float, Any]) -> None:
        """Logs the tasks that a lost worker was at."""
        message = event[1]
        if not isinstance(message, dict) or message.get("action") != "remove-worker":
            return
        names = [self._name(str(key)) for key in message.get("processing-tasks", ())]
        if any(names):
            logger.warning(
                "Dask lost its worker %s at work on %s: the task is run again by another one",
                message.get("worker"),
                ", ".join(sorted(filter(None, names))),
            )

    def _name(self, key: str) -> str:
        """The name of a task of ours by its key, empty for another's."""
        if key in self._calls:
            return self._calls[key][0]
        match = _OURS.fullmatch(key)
        return match[1] if match else ""

    def close(self) -> None:
        """Ends the connection."""
        self._client.close()


def _versions() -> dict[str, str]:
    """The versions that must be the same everywhere for results to be the same."""
    return {"Python": platform.python_version().rpartition(".")[0], "evo-qnas": version("evo-qnas")}


def _text(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in versions.items())


class _Backend(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
    """joblib's backend; where that would wait for ever for a task that killed its workers, it gives `Lost`."""

    async def _collect(self) -> None:
        """Hands results over as they come in."""
        while self._continue:
            async for future, result in self.waiting_futures:
                waits: Future[Any] = self._results.pop(future)
                callback: Callable[[Any], None] = self._callbacks.pop(future)
                outcome = result if future.status == "finished" else _instead(future.status, result)
                waits.set_result(outcome)
                callback(outcome)
            await asyncio.sleep(0.01)


def _instead(status: str, result: Any) -> Any:
    """The stand-in that joblib gets for a task without a result."""
    error = result[1] if status == "error" else CancelledError()
    if isinstance(error, KilledWorker):
        return [_lost(error)]
    return error


def _lost(error: KilledWorker) -> Lost:
    return Lost(f"{error.allowed_failures + 1} workers of the Dask cluster died at work on it")
