"""Workers of a Ray cluster."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

import ray
from ray.util.joblib.ray_backend import RayBackend

from evo_qnas.errors import JobError
from evo_qnas.jobs.call import Lost
from evo_qnas.jobs.cluster import Cluster

_RETRIES = 2


@final
class RayCluster(Cluster):
    """The workers of a Ray cluster, one task per processor core of it."""

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            ray.init(address="auto" if address == "ray://auto" else address, log_to_driver=True, logging_level="error")
        except (ConnectionError, RuntimeError, OSError, TimeoutError) as error:
            raise JobError(f"no Ray cluster answers at {address}: start one with `ray start --head`") from error

    def backend(self) -> Any:
        """A joblib backend whose actors are started again where they die, and their task with them."""
        return _Backend(ray_remote_args={"max_restarts": -1, "max_task_retries": _RETRIES})

    def slots(self) -> int:
        """One task per core."""
        count = int(ray.cluster_resources().get("CPU", 0))
        if not count:
            raise JobError(f"{self._address} has no processor left: start workers, and run the same command again")
        return count

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ray tells of dead workers itself, on stderr."""
        yield

    def close(self) -> None:
        """Ends the connection."""
        ray.shutdown()


class _Backend(RayBackend):  # type: ignore[misc]  # ray's joblib part has no types
    """Ray's backend for joblib, which gives results as they come in, and `Lost` for a task that killed its actors."""

    supports_return_generator = True

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], None]) -> Any:
        """Hands a task to a pool of actors."""

        def failed(error: BaseException) -> None:
            lost = isinstance(error, ray.exceptions.RayActorError | ray.exceptions.WorkerCrashedError)
            callback([Lost(f"{_RETRIES + 1} Ray workers died at work on it")] if lost else error)

        return self._get_pool().apply_async(_Caught(func), (), callback=callback, error_callback=failed)


class _Caught:
    """A call that gives the error it raises."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call

    def __call__(self) -> Any:
        try:
            return self._call()
        except Exception as error:
            return error
