"""Tasks that are handed in while others are under way, in workers that keep what the tasks share."""

import queue
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, final

from evo_qnas.jobs.call import Lost
from evo_qnas.jobs.engine import Died, Raised, folder_of, kept_call, make_engine
from evo_qnas.jobs.kept import Packed, Unknown
from evo_qnas.jobs.spread import RETRIES, report_death

Result = TypeVar("Result")


@final
class Pool(Generic[Result]):
    """One task over workers: items go in one after another, results come out as they end.

    Inside `connected` the workers are those of that cluster, else processes of this machine, or this process where
    there is one job. The task is sent to each worker once, however many items there are. A worker process that dies is
    reported with the items that were under way; they are run again up to `RETRIES` times, the last time alone.

    Use it as a context manager: items that are under way at its end are dropped, with their workers.
    """

    def __init__(self, task: Callable[[Any], Result], *, jobs: int) -> None:
        """Starts no work yet.

        Args:
            task: takes an item; sent to workers with everything it refers to.
            jobs: workers at most; -1 for one per core, or for all workers of the cluster.
        """
        self._task = task
        self._engine = make_engine(jobs)
        self._packed = None if self._engine.here else Packed.of(task)
        self._folder = folder_of(self._engine)
        self._ended: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._items: dict[int, tuple[str, Any]] = {}
        self._waiting: deque[int] = deque()
        self._alone: deque[int] = deque()
        self._solo: set[int] = set()
        self._under_way: set[int] = set()
        self._dead: dict[int, str] = {}
        self._deaths: Counter[int] = Counter()

    @property
    def width(self) -> int:
        """The number of items that are worked on at once."""
        return self._engine.width

    @property
    def capacity(self) -> int:
        """The number of items to hand in at once: some more, where workers can take the next one by themselves."""
        return self._engine.width + self._engine.spare

    def __len__(self) -> int:
        """The number of items without a result."""
        return len(self._items)

    def submit(self, key: int, item: Any, name: str) -> None:
        """Hands in an item.

        Args:
            key: tells its result from others that are not there yet.
            item: what the task is called with.
            name: what people call it.
        """
        self._items[key] = name, item
        self._waiting.append(key)
        self._start()

    def results(self, timeout: float | None = None) -> list[tuple[int, Result | Lost]]:
        """The keys and results that are there, at least one where any item is without; waits for it.

        Args:
            timeout: seconds to wait at most; then there may be none.

        Raises:
            JobError: the cluster went away.
        """
        end = None if timeout is None else time.monotonic() + timeout
        found: list[tuple[int, Result | Lost]] = []
        while self._items and not found:
            try:
                key, value = self._ended.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            found += self._taken(key, value)
            while not self._ended.empty():
                found += self._taken(*self._ended.get())
        return found

    def _start(self) -> None:
        """Hands waiting items to the workers; one that may be what kills them has them for itself."""
        while not self._solo:
            if self._alone:
                if self._under_way:
                    return
                key = self._alone.popleft()
                self._solo.add(key)
            elif self._waiting:
                key = self._waiting.popleft()
            else:
                return
            self._send(key, with_task=False)

    def _send(self, key: int, *, with_task: bool) -> None:
        self._under_way.add(key)
        name, item = self._items[key]
        if self._packed is None:
            call: Callable[[], Any] = partial(self._task, item)
        else:
            call = kept_call(self._packed.digest, self._packed.content if with_task else None, item, self._folder)
        self._engine.submit(name, call, lambda value: self._ended.put((key, value)))

    def _taken(self, key: int, value: Any) -> list[tuple[int, Result | Lost]]:
        """The results that an ended call leads to."""
        self._under_way.discard(key)
        if isinstance(value, Unknown):
            self._send(key, with_task=True)
            return []
        self._solo.discard(key)
        if isinstance(value, Raised):
            raise value.error
        found: list[tuple[int, Result | Lost]] = []
        if isinstance(value, Died):
            self._dead[key] = value.reason
        else:
            name, _ = self._items.pop(key)
            found.append((key, Lost(f"{name}: {value.reason}") if isinstance(value, Lost) else value))
        # Where one died, all that was under way comes back in this way, at once.
        if self._dead and not self._under_way:
            found += self._recovered()
        self._start()
        return found

    def _recovered(self) -> list[tuple[int, Result | Lost]]:
        """New workers for what was under way when one died; gives up what was there every time."""
        dead, self._dead = self._dead, {}
        self._deaths.update(list(dead))
        names = [self._items[key][0] for key in dead]
        report_death(names, max(self._deaths[key] for key in dead), next(iter(dead.values())))
        self._engine.renew()
        lost: list[tuple[int, Result | Lost]] = []
        for key, name in zip(dead, names, strict=True):
            if self._deaths[key] > RETRIES:
                del self._items[key]
                lost.append((key, Lost(f"the worker process of {name} died {self._deaths[key]} times")))
            elif self._deaths[key] == RETRIES:
                self._alone.append(key)
            else:
                self._waiting.append(key)
        return lost

    def close(self) -> None:
        """Lets the workers go; what is under way is dropped."""
        self._engine.close(busy=bool(self._under_way))

    def __enter__(self) -> "Pool[Result]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
