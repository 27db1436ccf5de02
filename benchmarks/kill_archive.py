"""Kills searches at random moments, resumes them, and holds the result against an unbroken run, bit for bit.

    python benchmarks/kill_archive.py --kills 200

Every algorithm gets its share of the kills. After each the archive is opened: it must hold every evaluation that was
older than a second. Then the search is run to its end and compared: evaluations (times apart), front, history.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas import TableProblem, Tables, objective
from evo_qnas.archive import Archive
from evo_qnas.problem import Networks
from evo_qnas.search import search

ALGORITHMS = ("nsga2", "moead", "nsga3", "random", "local", "pymoo")
GUARANTEED = 1.0
PAUSE = 0.02


@objective(unit="1")
def coupled(networks: Networks) -> np.ndarray:
    """The score with couplings of neighbours; slowed down and noted down where a kill is to come."""
    time.sleep(float(os.environ.get("KILL_PAUSE", "0")))
    score = networks.column("score")
    values = score.sum(axis=1) + (score[:, 1:] * score[:, :-1]).sum(axis=1)
    if "KILL_LOG" in os.environ:
        with open(os.environ["KILL_LOG"], "a", encoding="ascii") as log:
            log.write(f"{time.time()} {len(values)}\n")
    return values


def make_problem() -> TableProblem:
    rng = np.random.default_rng(11)
    tables = Tables.from_arrays(
        {name: [rng.random(12) for _ in range(10)] for name in ("score", "size_bytes", "latency_ms")}
    )
    return TableProblem(tables, objectives=[coupled, "size_bytes"], constraints=["latency_ms <= 6"])


def run_search(name: str, path: Path, evaluations: int) -> None:
    """One search in this process."""
    algorithm: Any = name
    if name == "pymoo":
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.operators.crossover.sbx import SBX
        from pymoo.operators.mutation.pm import PM
        from pymoo.operators.repair.rounding import RoundingRepair
        from pymoo.operators.sampling.rnd import IntegerRandomSampling

        algorithm = NSGA2(
            pop_size=20,
            sampling=IntegerRandomSampling(),
            crossover=SBX(repair=RoundingRepair()),
            mutation=PM(repair=RoundingRepair()),
        )
    search(
        make_problem(), algorithm=algorithm, evaluations=evaluations, population=20, seed=7, path=path, progress=False
    )


def start(name: str, path: Path, evaluations: int, **environment: str) -> multiprocessing.Process:
    """A search in a process of its own, forked from this one, which has everything imported."""
    work = multiprocessing.get_context("fork").Process(target=_work, args=(name, path, evaluations, environment))
    work.start()
    return work


def _work(name: str, path: Path, evaluations: int, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    run_search(name, path, evaluations)


def same(one: Archive, other: Archive) -> str:
    """What differs between two archives, times apart; empty where nothing does."""
    pairs = {
        name: (getattr(one.evaluations, name), getattr(other.evaluations, name))
        for name in ("genomes", "objectives", "constraints", "generation", "state")
    }
    pairs |= {
        f"front {name}": (getattr(one.front, name), getattr(other.front, name))
        for name in ("rows", "genomes", "objectives")
    }
    pairs |= {
        f"history {name}": (getattr(one.history, name), getattr(other.history, name))
        for name in ("generation", "evaluations", "feasible", "hypervolume", "ideal", "nadir")
    }
    return ", ".join(name for name, (a, b) in pairs.items() if a.tobytes() != b.tobytes())


def kill_once(name: str, path: Path, evaluations: int, wait: float) -> tuple[str, int, bool]:
    """Kills a search `wait` seconds after its archive appears; what is wrong, rows found, whether it was at work."""
    before = len(Archive.load(path)) if path.exists() else 0
    log = path.with_suffix(".log")
    log.write_text("", encoding="ascii")
    running = start(name, path, evaluations, KILL_PAUSE=str(PAUSE), KILL_LOG=str(log))
    while not path.exists() and running.is_alive():
        time.sleep(0.001)
    time.sleep(wait)
    at_work = running.is_alive()
    running.kill()
    killed = time.time()
    running.join()
    rows = len(Archive.load(path))
    lines = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
    due = before + sum(int(count) for moment, count in lines if float(moment) < killed - GUARANTEED)
    return f"{rows} evaluations found, {due} are older than a second" if rows < due else "", rows, at_work


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="in all")
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--algorithm", action="append", choices=ALGORITHMS, help="repeatable [all]")
    arguments = parser.parse_args()
    rng = np.random.default_rng(2026)
    names = arguments.algorithm or list(ALGORITHMS)
    begun, failures, kills = time.perf_counter(), 0, 0
    for index, name in enumerate(names):
        share = arguments.kills // len(names) + (index < arguments.kills % len(names))
        failures += torment(name, share, arguments.evaluations, rng)
        kills += share
    print(f"{kills} kills, {failures} failures, {time.perf_counter() - begun:.0f} s")
    return 1 if failures else 0


def torment(name: str, kills: int, evaluations: int, rng: np.random.Generator) -> int:
    """Kills one algorithm's search again and again, each time a step further, and checks every resumed end."""
    failures = found = busy = 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.h5"
        run_search(name, whole, evaluations)
        wanted = Archive.load(whole)
        batches = len(wanted) / 20
        left = kills
        while left:
            path = Path(folder) / f"killed-{left}.h5"
            # Up to three kills hit one search before it is run to its end.
            for _ in range(min(left, int(rng.integers(1, 4)))):
                left -= 1
                wrong, rows, at_work = kill_once(name, path, evaluations, float(rng.uniform(0, 1.1 * batches * PAUSE)))
                found, busy = found + rows, busy + at_work
                if wrong:
                    failures += 1
                    print(f"{name}: {wrong}")
            ended = start(name, path, evaluations)
            ended.join()
            differs = "it failed" if ended.exitcode else same(Archive.load(path), wanted)
            if differs:
                failures += 1
                print(f"{name}: the resumed search differs: {differs}")
    mean = found / max(kills, 1)
    print(
        f"{name}: {kills} kills ({busy} at work), {mean:.0f} of {len(wanted)} evaluations found on average", flush=True
    )
    return failures


if __name__ == "__main__":
    sys.exit(main())
