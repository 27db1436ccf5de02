"""Slow functions of one network: spread over processes, within a time limit, one bad network ends nothing."""

import ctypes
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import final

import numpy as np
from jaxtyping import Int

from evo_qnas.jobs import Lost, Pool
from evo_qnas.problem.custom import CustomObjective, as_numbers
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.outcome import FAILED, OK, TIMED_OUT
from evo_qnas.tables import Tables

# What a worker is given at once takes about so long: handing it over takes a millisecond. Chosen, not measured.
_BATCH_SECONDS = 0.02
# As many batches are left for each worker at least, so that all end together.
_BATCHES_LEFT = 2


class _TooLongError(Exception):
    """A call ran past its time limit."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SlowResult:
    """The results of a problem's slow functions for one network.

    Attributes:
        row: the network's row in the batch.
        values: one number per function; NaN after a failure.
        state: 0 ok, 1 failed, 2 timed out.
        reason: why, where it is not ok.
        seconds: wall time of all calls.
    """

    row: int
    values: tuple[float, ...]
    state: int
    reason: str
    seconds: float


def run_slow(
    functions: Sequence[CustomObjective], tables: Tables, genomes: Int[np.ndarray, "n blocks"], *, jobs: int
) -> Iterator[SlowResult]:
    """Results of the networks as they end, in any order.

    Args:
        functions: the slow functions; all run for a network, one after another, in one worker.
        tables: the tables of the networks.
        genomes: the networks.
        jobs: processes; 1 stays in this one.
    """
    rows, batches, took = deque(range(len(genomes))), dict[int, list[int]](), Took()
    with Pool(SlowTask(functions=tuple(functions), tables=tables), jobs=jobs if len(genomes) > 1 else 1) as pool:
        while rows or len(pool):
            while rows and len(pool) < pool.capacity:
                size = took.batch(len(rows) // (_BATCHES_LEFT * pool.width))
                batch = [rows.popleft() for _ in range(size)]
                batches[batch[0]] = batch
                pool.submit(batch[0], genomes[batch], name_of_networks(genomes[batch]))
            for key, results in pool.results():
                batch = batches.pop(key)
                if not isinstance(results, Lost):
                    took.add(results)
                    yield from (replace(result, row=row) for row, result in zip(batch, results, strict=True))
                elif len(batch) == 1:
                    yield lost_result(len(functions), results.reason, row=key)
                else:
                    # One of them was at fault; alone each of the others has its values.
                    took.alone = True
                    rows.extend(batch)


@final
@dataclass(slots=True)
class Took:
    """The time that networks took, and so how many a worker is given at once.

    Attributes:
        networks: that have ended.
        seconds: of all of them.
        alone: workers are given one at a time whatever they take.
    """

    networks: int = 0
    seconds: float = 0.0
    alone: bool = False

    def add(self, results: Sequence[SlowResult]) -> None:
        """Takes the times of a batch."""
        self.networks += len(results)
        self.seconds += sum(result.seconds for result in results)

    def batch(self, most: int) -> int:
        """The number of networks of the next batch, one at least."""
        if self.alone or not self.networks:
            return 1
        return max(1, min(most, int(_BATCH_SECONDS * self.networks / max(self.seconds, 1e-9))))


def name_of_networks(genomes: Int[np.ndarray, "n blocks"]) -> str:
    """The name under which people see a batch."""
    more = f" and {len(genomes) - 1} more" if len(genomes) > 1 else ""
    return f"network {genomes[0].tolist()}{more}"


def lost_result(functions: int, why: str, *, row: int = 0) -> SlowResult:
    """The result of a network whose worker died every time."""
    values = (float("nan"),) * functions
    return SlowResult(row=row, values=values, state=FAILED, reason=f"not evaluated: {why}", seconds=0.0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTask:
    """The slow functions of a problem, as they are sent to a worker."""

    functions: tuple[CustomObjective, ...]
    tables: Tables

    def __call__(self, genomes: Int[np.ndarray, "n blocks"]) -> list[SlowResult]:
        """The results of some networks, in their order."""
        return [_run(self.functions, self.tables, genomes[row : row + 1], row) for row in range(len(genomes))]


def _run(
    functions: tuple[CustomObjective, ...], tables: Tables, genome: Int[np.ndarray, "1 blocks"], row: int
) -> SlowResult:
    """All functions on one network, up to the first failure."""
    start, values, state, reason = time.perf_counter(), [], OK, ""
    for function in functions:
        value, state, reason = _call(function, Networks(tables=tables, genomes=genome.copy()))
        values.append(value)
        if state != OK:
            break
    values += [float("nan")] * (len(functions) - len(values))
    seconds = time.perf_counter() - start
    return SlowResult(row=row, values=tuple(values), state=state, reason=reason, seconds=seconds)


def _call(function: CustomObjective, network: Networks) -> tuple[float, int, str]:
    """Value, state and reason of one call."""
    try:
        with _limited(function.time_limit):
            returned = function(network)
        numbers = as_numbers(returned, f"objective {function.name!r}", limit=function.limit)
    except _TooLongError:
        text = f"objective {function.name!r} took longer than its time limit of {function.time_limit:g} s"
        return float("nan"), TIMED_OUT, text
    except Exception as error:
        return float("nan"), FAILED, f"objective {function.name!r} raised {type(error).__name__}: {error}"
    if numbers.size != 1:
        return float("nan"), FAILED, f"objective {function.name!r} must give one number, got shape {numbers.shape}"
    value = float(numbers.reshape(()))
    if not np.isfinite(value):
        return float("nan"), FAILED, f"objective {function.name!r} is {value}"
    return value, OK, ""


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Raises `_TooLongError` in the block after `seconds`; a call that never leaves C code ends when it returns."""
    if seconds is None:
        yield
    elif threading.current_thread() is threading.main_thread() and sys.platform != "win32":
        with _signalled(seconds):
            yield
    else:
        with _interrupted(seconds):
            yield


@contextmanager
def _signalled(seconds: float) -> Iterator[None]:
    """By a timer of the process, which also ends a sleep."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _interrupted(seconds: float) -> Iterator[None]:
    """By another thread, where this one is not the main one, as in workers of Dask."""
    caller, lock, ended = ctypes.c_ulong(threading.get_ident()), threading.Lock(), False

    def stop() -> None:
        with lock:
            if not ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(caller, ctypes.py_object(_TooLongError))

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            ended = True
        timer.cancel()
