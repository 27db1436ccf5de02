"""A real local Dask cluster of worker processes, and what it is given to do."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import evo_qnas as eq

ROOT = Path(__file__).resolve().parent.parent.parent


@eq.objective(per_network=True, unit="bits")
def slow_bits(networks: eq.Networks) -> float:
    """0.05 s of a network's time; each call leaves its mark where `EVO_QNAS_TEST_MARKS` says."""
    marks = os.environ.get("EVO_QNAS_TEST_MARKS")
    if marks:
        Path(marks, f"{os.getpid()}-{time.monotonic_ns()}").touch()
    time.sleep(0.05)
    return float(networks.weight_bits.astype(float).std() + networks.column("score").sum())


def problem() -> eq.TableProblem:
    rng = np.random.default_rng(0)
    tables = eq.Tables.from_arrays({name: [rng.random(6) for _ in range(6)] for name in ("score", "size_bytes")})
    return eq.TableProblem(tables, objectives=[slow_bits, "size_bytes"])


@contextmanager
def dask_cluster(
    folder: Path, *, workers: int = 2, failures: int = 3, scheme: str = "tcp"
) -> Iterator[tuple[str, Sequence[int]]]:
    """Address of a scheduler that lets a task kill so many workers, and the workers' process ids; tcp or tls."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EVO_QNAS_TEST_MARKS": str(folder)}
    environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = str(failures)
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *command: str) -> Path:
        log = folder / f"{name}.log"
        with log.open("wb") as handle:
            call = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]]
            started.append(subprocess.Popen(call, stdout=handle, stderr=handle, env=environment, cwd=folder))
        return log

    try:
        listening = ("--host", "127.0.0.1", "--port", "0", "--protocol", scheme)
        log = start("scheduler", "dask_scheduler", *listening, "--no-dashboard")
        address = found(log, rf"Scheduler at:\s+{scheme}://(127\.0\.0\.1:\d+)")
        options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--protocol", scheme]
        logs = [start(f"worker{n}", "dask_worker", f"{scheme}://{address}", *options) for n in range(workers)]
        for log in logs:
            found(log, r"Registered to")
        yield f"dask{'+tls' if scheme == 'tls' else ''}://{address}", [process.pid for process in started[1:]]
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def found(log: Path, pattern: str) -> str:
    """What a pattern's group, or the pattern, is in a log as soon as it is there."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        match = re.search(pattern, log.read_text())
        if match:
            return match[match.re.groups and 1]
        time.sleep(0.05)
    raise AssertionError(f"never in {log.name}: {pattern}\n{log.read_text()}")
