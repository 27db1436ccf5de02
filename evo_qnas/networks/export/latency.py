"""Latency of ONNX files in ONNX Runtime, measured side by side."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.runtime import open_session

ROUNDS = 60
_WARM_UP = 3
_QUANTILE = 0.1
_LEAST_NS = 2_000_000


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long one run of a network takes.

    Attributes:
        milliseconds: the 10 % quantile over the rounds of the thread's CPU time.
        spread: half the distance between the 5 % and the 15 % quantile.
        rounds: rounds measured.
        repeats: runs per round whose mean is one measurement.
    """

    milliseconds: float
    spread: float
    rounds: int
    repeats: int


def measure_latency(
    files: Mapping[str, Path], *, rng: np.random.Generator, rounds: int = ROUNDS, batch: int = 1, exact: bool = False
) -> dict[str, Latency]:
    """Latency of each file on one thread, the files in a new random order in every round.

    A run on one thread does its work on the calling thread, so that its CPU time leaves out what other programs take.

    Args:
        files: by name.
        rng: draws order and inputs.
        rounds: how often each file is measured.
        batch: images per run.
        exact: as in `open_session`; off, as a plain session runs.

    Raises:
        NetworkError: `rounds` is below 10, or a file cannot be loaded.
    """
    if rounds < 10:
        raise NetworkError(f"rounds = {rounds} gives no quantile: take at least 10")
    runs = {name: _Run(path, batch, exact, rng) for name, path in files.items()}
    names = list(runs)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for index in rng.permutation(len(names)):
            times[names[index]].append(runs[names[index]].milliseconds())
    found = {}
    for name in names:
        low, middle, high = np.quantile(times[name], [_QUANTILE / 2, _QUANTILE, 1.5 * _QUANTILE])
        found[name] = Latency(
            milliseconds=float(middle), spread=float(high - low) / 2, rounds=rounds, repeats=runs[name].repeats
        )
    return found


class _Run:
    """One file, warmed up, with as many runs per measurement as the clock needs."""

    def __init__(self, path: Path, batch: int, exact: bool, rng: np.random.Generator) -> None:
        self.session: Any = open_session(path, exact=exact)
        shape = (batch, *self.session.get_inputs()[0].shape[1:])
        self.feed = {"image": rng.standard_normal(shape, dtype=np.float32)}
        self.repeats = 1
        for _ in range(_WARM_UP):
            taken = self._time()
        self.repeats = max(1, round(_LEAST_NS / max(1, taken)))

    def _time(self) -> int:
        start = time.thread_time_ns()
        for _ in range(self.repeats):
            self.session.run(None, self.feed)
        return time.thread_time_ns() - start

    def milliseconds(self) -> float:
        """Mean CPU time of one run."""
        return self._time() / self.repeats / 1e6
