"""A task that workers keep: its tables and functions travel once to each of them, afterwards only what it is given."""

import contextlib
import gc
import hashlib
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import cloudpickle
import joblib

# Tasks that a worker keeps: those of the searches that take turns in one process. Chosen, not measured.
_MOST = 4
_TASKS: dict[str, Callable[[Any], Any]] = {}


@final
@dataclass(frozen=True, slots=True)
class Unknown:
    """In place of a result: the worker has not got the task."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A task as bytes, with the digest by which workers know it."""

    content: bytes
    digest: str

    @classmethod
    def of(cls, task: Callable[[Any], Any]) -> "Packed":
        """A task with everything that it refers to."""
        content = cloudpickle.dumps(task)
        return cls(content=content, digest=hashlib.sha256(content).hexdigest())


def call_kept(digest: str, content: bytes | None, item: Any, folder: str | None) -> Any:
    """The result of the task with this digest, in a worker; `Unknown` where the worker has not got it.

    Args:
        digest: of the task.
        content: the task, None where the worker is thought to have it.
        item: what the task is called with.
        folder: on a cluster, where the caller works: names of files mean the same there.
    """
    if digest not in _TASKS:
        if content is None:
            return Unknown()
        while len(_TASKS) >= _MOST:
            del _TASKS[next(iter(_TASKS))]
    if folder is None:
        return _task(digest, content)(item)
    # What a task spreads itself stays in its worker.
    with contextlib.chdir(folder), joblib.parallel_config(backend="sequential"):
        return _task(digest, content)(item)


def _task(digest: str, content: bytes | None) -> Callable[[Any], Any]:
    if digest not in _TASKS and content is not None:
        _TASKS[digest] = pickle.loads(content)
        # loky's workers collect garbage every second where psutil is absent: 60 ms for modules and tables, which stay.
        gc.freeze()
    return _TASKS[digest]
