"""Latency of files, measured side by side in rounds that survive a kill."""

import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import NetworkError
from evo_qnas.files import written_path

# Opens a file for a number of threads; gives a function that runs it once on a random input.
Prepare = Callable[[Path, int, np.random.Generator], Callable[[], object]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Numbers of the measurement.

    Rounds and quantile are those at which measurements agree: of 20 random networks on one thread, timed in turn in
    random order, the 10 % quantile of CPU time over 60 rounds came out in the same order again with Kendall's tau 0.87,
    the mean of ten wall times in a row under load with 0.28. `benchmarks/latency_tables.py` measures that for blocks.

    Attributes:
        rounds: unless more are asked for.
        least_rounds: below, the quantile would be the least time.
        quantile: of the rounds' times on one thread.
        warm_up: runs before the first round, in which a runtime allocates its memory; the last one gives `repeats`.
        least_ns: of one measurement: a file is run so often that the clock's step and cost vanish in it.
    """

    rounds: int = 60
    least_rounds: int = 10
    quantile: float = 0.1
    warm_up: int = 3
    least_ns: int = 2_000_000


TUNING = Tuning()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One measurement of several files.

    Attributes:
        seed: draws orders and inputs.
        rounds: of every file.
        threads: of one run.
        record: a file that keeps the rounds done; the same measurement after a kill goes on with the next round.
        fingerprint: what the rounds in `record` depend on beside names, seed and threads.
        advance: called with the number of rounds done.
    """

    seed: int
    rounds: int = TUNING.rounds
    threads: int = 1
    record: Path | None = None
    fingerprint: str = ""
    advance: Callable[[int], None] = lambda _: None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Duration of one run of a network.

    Attributes:
        milliseconds: on one thread the 10 % quantile over the rounds of the thread's CPU time, which leaves out what
            other programs take; on several threads the least wall time.
        spread: half the distance between the 5 % and the 15 % quantile; of wall times between the least and the 10 %
            quantile.
        rounds: rounds measured, 0 for a compiler's estimate.
    """

    milliseconds: float
    spread: float
    rounds: int


def latency_of(times: Float[np.ndarray, " rounds"], *, threads: int = 1) -> Latency:
    """The robust statistic of one file's times.

    Example:
        >>> latency = latency_of(np.arange(101.0))
        >>> (round(latency.milliseconds, 6), round(latency.spread, 6), latency.rounds)
        (10.0, 5.0, 101)
    """
    quantile = TUNING.quantile
    if threads > 1:
        middle, high = np.quantile(times, [0.0, quantile])
        return Latency(milliseconds=float(middle), spread=float(high - middle) / 2, rounds=len(times))
    low, middle, high = np.quantile(times, [quantile / 2, quantile, 1.5 * quantile])
    return Latency(milliseconds=float(middle), spread=float(high - low) / 2, rounds=len(times))


def measure_latency(files: Mapping[str, Path], timing: Timing, prepare: Prepare) -> dict[str, Latency]:
    """Latency of each file for one image, the files in a new random order in every round.

    Args:
        files: by name.
        timing: rounds, threads and the record.
        prepare: opens a file in its runtime.

    Raises:
        NetworkError: there are too few rounds, or a file cannot be loaded.
    """
    rounds, threads, record = timing.rounds, timing.threads, timing.record
    if rounds < TUNING.least_rounds:
        raise NetworkError(f"rounds = {rounds} gives no quantile: take at least {TUNING.least_rounds}")
    names = list(files)
    head = {"fingerprint": timing.fingerprint, "names": names, "seed": timing.seed, "threads": threads}
    known = [] if record is None else _read_rounds(record, head)
    timing.advance(min(len(known), rounds))
    if len(known) < rounds:
        runs = [_Run(prepare(path, threads, np.random.default_rng(timing.seed)), threads) for path in files.values()]
        while len(known) < rounds:
            rng = np.random.default_rng([timing.seed, len(known)])
            times = np.empty(len(names))
            for index in rng.permutation(len(names)):
                times[index] = runs[index].milliseconds()
            known.append(times.tolist())
            if record is not None:
                _write_round(record, head, known)
            timing.advance(1)
    columns = np.array(known[:rounds]).T
    return {name: latency_of(column, threads=threads) for name, column in zip(names, columns, strict=True)}


def _read_rounds(record: Path, head: dict[str, Any]) -> list[list[float]]:
    """The rounds of a file that begins with this head; a last line that a kill cut short is left out.

    Of a file with anything else than times none are taken.
    """
    try:
        lines = record.read_bytes().split(b"\n")[:-1]
        if not lines or json.loads(lines[0]) != head:
            return []
        rounds = [[float(time) for time in json.loads(line)] for line in lines[1:]]
    except (OSError, ValueError, TypeError, OverflowError, RecursionError):
        return []
    good = all(math.isfinite(time) and time >= 0 for times in rounds for time in times)
    return [times for times in rounds if len(times) == len(head["names"])] if good else []


def _write_round(record: Path, head: dict[str, Any], rounds: list[list[float]]) -> None:
    """Appends the last round; the first one, and one after a torn line, writes the file anew."""
    written_path(record).parent.mkdir(parents=True, exist_ok=True)
    whole = len(rounds) > 1 and record.is_file() and record.read_bytes().endswith(b"\n")
    lines = [rounds[-1]] if whole else [head, *rounds]
    with record.open("ab" if whole else "wb") as handle:
        handle.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class _Run:
    """One file, warmed up, with as many runs per measurement as the clock needs."""

    def __init__(self, run: Callable[[], object], threads: int) -> None:
        self.run = run
        self.clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
        self.repeats = 1
        for _ in range(TUNING.warm_up):
            duration = self._time()
        self.repeats = max(1, round(TUNING.least_ns / max(1, duration)))

    def _time(self) -> int:
        start = self.clock()
        for _ in range(self.repeats):
            self.run()
        return self.clock() - start

    def milliseconds(self) -> float:
        """Mean time of one run."""
        return self._time() / self.repeats / 1e6
