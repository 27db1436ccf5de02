"""Kills a loop of ask and tell with eight answers pending, again and again: nothing told may be lost.

    python benchmarks/kill_ask_tell.py --kills 60

Each loop goes on from where the one before was killed. It writes every network down once `tell` has returned; after
each kill the archive must begin with those, in their order, and the loop that follows must hand out what was pending.
"""

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import evo_qnas as eq
from evo_qnas.archive import Archive
from evo_qnas.tables.generate import generate_tables

PENDING = 8


def make_problem() -> eq.TableProblem:
    tables = generate_tables(10, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))
    return eq.TableProblem(tables, ["score", "size_bytes"], constraints=["latency_ms <= 20"])


def loop(name: str, path: Path, log: Path) -> None:
    """Asks and tells until it is killed."""
    asked = eq.optimizer(make_problem(), name, seed=1, population=20, path=path)
    rng = np.random.default_rng()
    working: list[np.ndarray] = []
    with log.open("a", encoding="ascii") as told:
        while True:
            working += list(asked.ask(PENDING - len(working)))
            genome = working.pop(int(rng.integers(len(working))))
            asked.tell(genome, *asked.problem.evaluate(genome[None]))
            told.write(" ".join(map(str, genome.tolist())) + "\n")
            told.flush()


def kill_once(name: str, path: Path, log: Path, wait: float) -> str:
    """Kills a loop after its first new answer and `wait` seconds; what is wrong, empty for nothing."""
    before = lines_of(log)
    running = multiprocessing.get_context("fork").Process(target=loop, args=(name, path, log))
    running.start()
    while running.is_alive() and len(lines_of(log)) == len(before):
        time.sleep(0.002)
    time.sleep(wait)
    running.kill()
    running.join()
    told = lines_of(log)
    there = Archive.load(path).genomes.tolist()
    if len(there) not in {len(told), len(told) + 1} or there[: len(told)] != told:
        return f"{len(told)} networks were told, {len(there)} are there"
    # The last one may have been under way when the kill came, and a line of the log torn.
    log.write_text("".join(" ".join(map(str, row)) + "\n" for row in there), encoding="ascii")
    return "" if len(told) > len(before) else "the course did not go on"


def lines_of(log: Path) -> list[list[int]]:
    """The networks in a log, without a torn last line, which is removed."""
    if not log.exists():
        return []
    whole = log.read_text(encoding="ascii")
    return [[int(value) for value in line.split()] for line in whole[: whole.rfind("\n") + 1].splitlines()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--algorithms", nargs="+", default=["nsga2", "moead", "local"])
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for kill in range(arguments.kills):
            name = arguments.algorithms[kill % len(arguments.algorithms)]
            path, log = Path(folder) / f"{name}.h5", Path(folder) / f"{name}.log"
            trouble = kill_once(name, path, log, float(rng.uniform(0, 0.4)))
            wrong += bool(trouble)
            if trouble:
                print(f"kill {kill + 1}, {name}: {trouble}", flush=True)
        for name in arguments.algorithms:
            with eq.optimizer(make_problem(), name, seed=1, population=20, path=Path(folder) / f"{name}.h5") as asked:
                distinct = len(np.unique(asked.archive.genomes, axis=0))
                words = f"{len(asked)} networks told, {distinct} different"
                print(f"{name}: {words}, the next ask gives {len(asked.ask(PENDING))}")
    print(f"{arguments.kills} kills, {wrong} with a loss")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
