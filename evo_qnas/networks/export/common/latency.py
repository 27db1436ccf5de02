"""Latency of ONNX files in ONNX Runtime, measured side by side in rounds that survive a kill."""

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.onnx.runtime import open_session

ROUNDS = 60
_WARM_UP = 3
_QUANTILE = 0.1
_LEAST_NS = 2_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one run of a network takes.

    Attributes:
        milliseconds: on one thread the 10 % quantile over the rounds of the thread's CPU time, which leaves out what
            other programs take; on several threads the least wall time.
        spread: half the distance between the 5 % and the 15 % quantile; of wall times between the least and the 10 %
            quantile.
        rounds: rounds measured.
    """

    milliseconds: float
    spread: float
    rounds: int


def latency_of(times: Float[np.ndarray, " rounds"], *, threads: int = 1) -> Latency:
    """The robust statistic of one file's times.

    Example:
        >>> found = latency_of(np.arange(101.0))
        >>> (round(found.milliseconds, 6), round(found.spread, 6), found.rounds)
        (10.0, 5.0, 101)
    """
    if threads > 1:
        middle, high = np.quantile(times, [0.0, _QUANTILE])
        return Latency(milliseconds=float(middle), spread=float(high - middle) / 2, rounds=len(times))
    low, middle, high = np.quantile(times, [_QUANTILE / 2, _QUANTILE, 1.5 * _QUANTILE])
    return Latency(milliseconds=float(middle), spread=float(high - low) / 2, rounds=len(times))


def measure_latency(
    files: Mapping[str, Path],
    *,
    seed: int,
    rounds: int = ROUNDS,
    threads: int = 1,
    exact: bool = False,
    record: Path | None = None,
    fingerprint: str = "",
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, Latency]:
    """Latency of each file for one image, the files in a new random order in every round.

    Args:
        files: by name.
        seed: draws orders and inputs.
        rounds: how often each file is measured.
        threads: threads of one run.
        exact: as in `open_session`; off, as a plain session runs.
        record: a file that keeps the rounds done; the same call after a kill goes on with the next round.
        fingerprint: what the rounds in `record` depend on beside names, seed and threads.
        advance: called with the number of rounds done.

    Raises:
        NetworkError: `rounds` is below 10, or a file cannot be loaded.
    """
    if rounds < 10:
        raise NetworkError(f"rounds = {rounds} gives no quantile: take at least 10")
    names = list(files)
    head = {"fingerprint": fingerprint, "names": names, "seed": seed, "threads": threads}
    known = [] if record is None else _read_rounds(record, head)
    advance(min(len(known), rounds))
    if len(known) < rounds:
        runs = [_Run(path, exact, threads, np.random.default_rng(seed)) for path in files.values()]
        while len(known) < rounds:
            rng = np.random.default_rng([seed, len(known)])
            times = np.empty(len(names))
            for index in rng.permutation(len(names)):
                times[index] = runs[index].milliseconds()
            known.append(times.tolist())
            if record is not None:
                _write_round(record, head, known)
            advance(1)
    columns = np.array(known[:rounds]).T
    return {name: latency_of(column, threads=threads) for name, column in zip(names, columns, strict=True)}


def _read_rounds(record: Path, head: dict[str, Any]) -> list[list[float]]:
    """The rounds of a file that begins with this head; a last line that a kill cut short is left out."""
    try:
        lines = record.read_bytes().split(b"\n")[:-1]
        if not lines or json.loads(lines[0]) != head:
            return []
        rounds = [json.loads(line) for line in lines[1:]]
    except (OSError, ValueError):
        return []
    return [[float(time) for time in times] for times in rounds if len(times) == len(head["names"])]


def _write_round(record: Path, head: dict[str, Any], rounds: list[list[float]]) -> None:
    """Appends the last round; the first one, and one after a torn line, writes the file anew."""
    record.parent.mkdir(parents=True, exist_ok=True)
    whole = len(rounds) > 1 and record.is_file() and record.read_bytes().endswith(b"\n")
    lines = [rounds[-1]] if whole else [head, *rounds]
    with record.open("ab" if whole else "wb") as handle:
        handle.write("".join(json.dumps(line) + "\n" for line in lines).encode())


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


class _Run:
    """One file, warmed up, with as many runs per measurement as the clock needs."""

    def __init__(self, path: Path, exact: bool, threads: int, rng: np.random.Generator) -> None:
        self.session: Any = open_session(path, exact=exact, threads=threads)
        self.clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
        self.feed = {given.name: _random(given, rng) for given in self.session.get_inputs()}
        self.repeats = 1
        for _ in range(_WARM_UP):
            taken = self._time()
        self.repeats = max(1, round(_LEAST_NS / max(1, taken)))

    def _time(self) -> int:
        start = self.clock()
        for _ in range(self.repeats):
            self.session.run(None, self.feed)
        return self.clock() - start

    def milliseconds(self) -> float:
        """Mean time of one run."""
        return self._time() / self.repeats / 1e6


def _random(given: Any, rng: np.random.Generator) -> np.ndarray:
    """One random image, or map of codes, for an input of a session."""
    shape = (1, *given.shape[1:])
    if given.type == "tensor(uint8)":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.standard_normal(shape, dtype=np.float32)
