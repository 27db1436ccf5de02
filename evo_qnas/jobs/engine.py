"""Where the tasks of a pool run: in this process, in processes of this machine, or on a cluster."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool
from joblib.parallel import LokyBackend, SequentialBackend, get_active_backend

from evo_qnas.jobs.cluster import Cluster
from evo_qnas.jobs.connection import active
from evo_qnas.jobs.kept import call_kept
from evo_qnas.jobs.workers import watched_workers

# Workers for each call that waits beside those that run: this process has as long to hand over the next ones as half of
# the workers take. At 32 workers more made fronts no better and no worse (`benchmarks/asynchronous.py quality`).
_WORKERS_PER_SPARE = 2

Done = Callable[[Any], None]


@final
@dataclass(frozen=True, slots=True)
class Died:
    """In place of a result: a worker process ended, and with it all that was under way."""

    reason: str


@final
@dataclass(frozen=True, slots=True)
class Raised:
    """In place of a result: the task raised."""

    error: Exception


class Engine(ABC):
    """Workers that are given one call at a time.

    Attributes:
        width: calls that run at once.
        spare: calls that wait beside those that run, so that no worker waits for this process.
        here: True where calls run in this process, to which nothing needs to be sent.
    """

    width: int
    spare: int = 0
    here: bool = False

    @abstractmethod
    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        """Starts a call.

        Args:
            name: what people call it.
            call: of a function that workers can import.
            done: takes the result, `Raised`, `Died` or `Lost`, in any thread.
        """

    @abstractmethod
    def renew(self) -> None:
        """Brings workers back after one has died."""

    @abstractmethod
    def close(self, *, busy: bool) -> None:
        """Lets the workers go; where they are `busy` nobody waits for what they are at."""


def make_engine(jobs: int) -> Engine:
    """The workers of the cluster that is connected, else processes; this process where there is one job.

    Args:
        jobs: workers at most; -1 for one per core, or for all of the cluster.
    """
    cluster = active()
    if cluster is not None:
        return OnCluster(cluster, jobs)
    if isinstance(get_active_backend()[0], SequentialBackend):
        return Here()
    width = LokyBackend(nesting_level=0).effective_n_jobs(jobs)
    return Here() if width == 1 else Processes(width)


@final
class Here(Engine):
    """This process."""

    width = 1
    here = True

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        """Makes the call at once."""
        try:
            result = call()
        except Exception as error:
            done(Raised(error))
        else:
            done(result)

    def renew(self) -> None:
        """Nothing to do."""

    def close(self, *, busy: bool) -> None:
        """Nothing to do."""


@final
class Processes(Engine):
    """Worker processes of this machine: joblib's own, so that searches and stages share them."""

    def __init__(self, width: int) -> None:
        self.width, self.spare = width, -(-width // _WORKERS_PER_SPARE)
        self._backend = LokyBackend(nesting_level=0)
        self.renew()

    def renew(self) -> None:
        """Starts workers, or takes those that are there."""
        self._backend.configure(n_jobs=self.width, parallel=joblib.Parallel(), **watched_workers())

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        """Hands a call to the first worker that is free."""
        try:
            future = self._backend.submit(call)
        except BrokenProcessPool as error:
            done(Died(str(error)))
        else:
            future.add_done_callback(partial(_hand_over, done))

    def close(self, *, busy: bool) -> None:
        """Leaves idle workers to the next call, and ends busy ones."""
        if busy:
            self._backend.abort_everything(ensure_ready=False)
        else:
            self._backend.terminate()


def _hand_over(done: Done, future: Any) -> None:
    if future.cancelled():
        return
    error = future.exception()
    if error is None:
        done(future.result())
    else:
        done(Died(str(error)) if isinstance(error, BrokenProcessPool) else Raised(error))


@final
class OnCluster(Engine):
    """Workers of a cluster, which runs the tasks of dead ones again on its own."""

    def __init__(self, cluster: Cluster, jobs: int) -> None:
        self._cluster = cluster
        slots = cluster.slots()
        self.width = slots if jobs < 1 else min(jobs, slots)
        self._watch = ExitStack()
        self._watch.enter_context(cluster.watched())

    def submit(self, name: str, call: Callable[[], Any], done: Done) -> None:
        """Hands a call to the scheduler."""
        self._cluster.submit(name, call, partial(_or_raised, done))

    def renew(self) -> None:
        """Nothing to do."""

    def close(self, *, busy: bool) -> None:
        """Takes back what is under way."""
        if busy:
            self._cluster.cancel()
        self._watch.close()


def _or_raised(done: Done, result: Any) -> None:
    done(Raised(result) if isinstance(result, Exception) else result)


def folder_of(engine: Engine) -> str | None:
    """The folder that names of files refer to, for workers that are elsewhere."""
    return os.getcwd() if isinstance(engine, OnCluster) else None


def kept_call(digest: str, content: bytes | None, item: Any, folder: str | None) -> Callable[[], Any]:
    """A call of a task that workers keep."""
    return partial(call_kept, digest, content, item, folder)
