"""The interface of a cluster."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any


class Cluster(ABC):
    """Workers on other machines. Each works on one task at a time."""

    @abstractmethod
    def backend(self) -> Any:
        """A joblib backend for one call of `joblib.Parallel`; dead workers give `Lost` in place of a result."""

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
