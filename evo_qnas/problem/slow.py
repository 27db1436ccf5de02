"""Slow functions of one network: spread over processes, within a time limit, one bad network ends nothing."""

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import final

import joblib
import numpy as np
from jaxtyping import Int

from evo_qnas.problem.custom import CustomObjective, as_numbers
from evo_qnas.problem.networks import Networks
from evo_qnas.tables import Tables

OK, FAILED, TIMED_OUT = 0, 1, 2


class _TooLongError(Exception):
    """A call ran past its time limit."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SlowResult:
    """What the slow functions of a problem gave for one network.

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
        functions: the slow functions; all run for a network, one after another, in one job.
        tables: what the networks are of.
        genomes: the networks.
        jobs: processes; 1 stays in this one.
    """
    tasks = (joblib.delayed(_run)(tuple(functions), tables, genomes[row : row + 1], row) for row in range(len(genomes)))
    yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)(tasks)


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
            given = function(network)
        numbers = as_numbers(given, f"objective {function.name!r}")
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
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
