"""One task as it is sent to a worker."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import joblib


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class Call:
    """A task and its item.

    Attributes:
        name: for people, in messages and logs.
        index: its position among the items.
        task: takes the item.
        item: what it is called with.
        folder: on a cluster, where the caller works: names of files mean the same there. None for processes of this
            machine, which work there anyway.
    """

    name: str
    index: int
    task: Callable[[Any], Any]
    item: Any
    folder: str | None = None

    @property
    def __name__(self) -> str:
        """Names of tasks in a cluster's own log and pages."""
        return self.name

    def __call__(self) -> tuple[int, Any]:
        """The index and the result."""
        if self.folder is None:
            return self.index, self.task(self.item)
        # What a task spreads itself stays in its worker.
        with contextlib.chdir(self.folder), joblib.parallel_config(backend="sequential"):
            return self.index, self.task(self.item)


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """In place of a result: the workers that a task was given to died."""

    reason: str
