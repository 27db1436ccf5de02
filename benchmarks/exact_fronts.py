"""Times exact and guaranteed fronts on generated tables, on one core, against the limits that they should keep.

    python benchmarks/exact_fronts.py            # all cases, about two minutes
    python benchmarks/exact_fronts.py 8x120-3    # one case

Each case runs in a process of its own: CPU seconds, the smallest of the repeats, and the process's largest memory
(about 110 MB of it are imports and tables). `plain` is the obvious way in the same process: all sums of the front so
far with the next block's options, filtered by moocore. The exit code is 1 where a limit is missed.
"""

# ruff: noqa: E402 - the number of threads is set before numpy is imported
import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import moocore
import numpy as np

from evo_qnas.pareto import exact_front, smallest_reachable
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables

OBJECTIVES = ["score", "size_bytes", "latency_ms"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A table, what is asked of it, and the most seconds and GB it should take (0: only stated)."""

    blocks: int
    m: int
    choices: int = 120
    guarantee: float | None = None
    limits: tuple[str, ...] = ()
    repeats: int = 5
    seconds: float = 0.0
    gigabytes: float = 0.0
    plain: bool = True
    reach: bool = False


CASES = {
    "8x120-2": Case(blocks=8, m=2, repeats=15),
    "20x120-2": Case(blocks=20, m=2, seconds=0.15, repeats=15),
    "50x120-2": Case(blocks=50, m=2, seconds=1.5, repeats=7),
    "8x120-3": Case(blocks=8, m=3, seconds=0.5, repeats=9),
    "20x120-3-within-3%": Case(blocks=20, m=3, guarantee=0.03, seconds=10.0, gigabytes=4.0, repeats=3, plain=False),
    "20x120-3-within-1%": Case(blocks=20, m=3, guarantee=0.01, repeats=2, plain=False),
    "50x120-3-within-3%": Case(blocks=50, m=3, guarantee=0.03, repeats=1, plain=False),
    "20x120-3": Case(blocks=20, m=3, seconds=60.0, gigabytes=4.0, repeats=1, plain=False),
    "20x120-2-limit": Case(blocks=20, m=2, limits=("latency_ms <= 4",), repeats=2, plain=False),
    "50x25-1-three-limits": Case(
        blocks=50,
        m=1,
        choices=25,
        limits=("size_bytes <= 800_000", "latency_ms <= 15", "bit_operations <= 2.5e10"),
        seconds=10.0,
        repeats=2,
        plain=False,
    ),
    "20x120-impossible": Case(
        blocks=20, m=2, limits=("latency_ms <= 1", "size_bytes <= 200_000"), seconds=1.0, plain=False, reach=True
    ),
}


def problem_of(case: Case) -> TableProblem:
    """The case's problem; 25 choices are 5 operators at 5 weight bit-widths."""
    few = case.choices == 25
    tables = generate_tables(case.blocks, operators=5, activation_bits=(8,)) if few else generate_tables(case.blocks)
    return TableProblem(tables, objectives=OBJECTIVES[: case.m], constraints=list(case.limits))


def plain_front(problem: TableProblem) -> int:
    """Number of points of the front, the obvious way."""
    additive = problem.additive
    parts = [part[moocore.is_nondominated(part)] for part in additive.objectives]
    front = parts[0]
    for part in parts[1:]:
        sums = (front[:, None, :] + part[None, :, :]).reshape(-1, part.shape[1])
        front = sums[moocore.is_nondominated(sums)]
    return len(front)


def smallest(function: Callable[[], object], repeats: int) -> tuple[float, object]:
    """CPU seconds of the quickest call, and what it returned."""
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def measured(case: Case) -> dict[str, object]:
    """Seconds, memory and result of a case."""
    problem = problem_of(case)
    if case.reach:
        seconds, reach = smallest(lambda: smallest_reachable(problem), case.repeats)
        return {"seconds": seconds, "result": reach.reason, "gigabytes": memory(), "plain": None}
    seconds, front = smallest(lambda: exact_front(problem, guarantee=case.guarantee), case.repeats)
    row = {"seconds": seconds, "result": str(front), "gigabytes": memory(), "plain": None}
    if case.plain:
        row["plain"], points = smallest(lambda: plain_front(problem), max(case.repeats // 3, 1))
        assert points == len(front.objectives), "the plain way finds another number of points"
    if case.m == 1:
        row["result"] = f"score {front.objectives[0, 0]:.9g}"
    return row


def memory() -> float:
    """The process's largest memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main(names: list[str]) -> int:
    missed = 0
    print(f"{'case':22} {'CPU s':>8} {'limit':>6} {'GB':>6} {'plain s':>8} {'ratio':>6}  result")
    for name in names or CASES:
        case = CASES[name]
        done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True, check=True)
        row = json.loads(done.stdout)
        kept = not case.seconds or row["seconds"] <= case.seconds
        kept &= not case.gigabytes or row["gigabytes"] <= case.gigabytes
        missed += not kept
        limit = f"{case.seconds:g}" if case.seconds else "-"
        plain = f"{row['plain']:8.3f} {row['plain'] / row['seconds']:6.1f}" if row["plain"] else f"{'-':>8} {'-':>6}"
        print(
            f"{name:22} {row['seconds']:8.3f} {limit:>6} {row['gigabytes']:6.2f} {plain}  "
            f"{row['result']}{'' if kept else '  MISSED'}",
            flush=True,
        )
    return int(missed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)} [all]".replace("%", "%%"))
    parser.add_argument("--one", choices=list(CASES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.cases) - set(CASES):
        parser.error(f"there is no case {min(unknown)!r}; there are: {', '.join(CASES)}")
    if options.one:
        print(json.dumps(measured(CASES[options.one])))
    else:
        sys.exit(main(options.cases))
