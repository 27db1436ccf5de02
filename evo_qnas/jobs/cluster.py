"""The interface of a cluster."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


class Cluster(ABC):
    """Workers on other machines. Each works on one task at a time."""

    @abstractmethod
    def backend(self) -> Any:
        """A joblib backend for one call of `joblib.Parallel`; dead workers give `Lost` in place of a result."""

    @abstractmethod
    def submit(self, name: str, call: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Starts one call.

        Args:
            name: what people call it.
            call: of what workers can import.
            done: takes the result, `Lost`, or the exception that it raised, in any thread.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Takes back every call that was submitted and has not ended; its `done` is not called."""

    @abstractmethod
    def slots(self) -> int:
        """The number of tasks that run at once.

        Raises:
            JobError: there is no worker.
        """

    @abstractmethod
    def watched(self) -> AbstractContextManager[None]:
        """A block in which dead workers are reported with their tasks."""

    @abstractmethod
    def close(self) -> None:
        """Lets the cluster go; its workers stay."""
