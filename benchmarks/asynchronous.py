"""What asynchronous search gains and costs where evaluations take unequal times.

    python -m benchmarks.asynchronous share --workers 32 --mean 0.05 --evaluations 3000
    python -m benchmarks.asynchronous quality --workers 32 --seeds 10

`share`: the share of the workers' time in which they evaluate, asynchronously and by generations, with an objective
that sleeps: lognormal times of the given mean whose logarithms have a standard deviation of 1. Each worker writes down
when it begins and ends; counted is from the moment at which all have begun until the last network is handed out.
`quality`: hypervolume at equal numbers of evaluations, as a share of that of the true front, on two problems of the
suite that are no sums, without seeds. Workers and their times are simulated, so that only the order of answers counts.
"""

import argparse
import heapq
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import evo_qnas as eq
from evo_qnas.compare.statistics import wilcoxon
from evo_qnas.compare.suite import load_suite
from evo_qnas.pareto import hypervolume, nondominated
from evo_qnas.search import search
from evo_qnas.search.asynchronous import course_of
from evo_qnas.search.setup import prepared
from evo_qnas.tables.generate import generate_tables

SPREAD = 1.0
_FOLDER, _MEAN = "EVO_QNAS_ASYNCHRONOUS_FOLDER", "EVO_QNAS_ASYNCHRONOUS_MEAN"


def lognormal(rng: np.random.Generator, mean: float) -> float:
    """Seconds of one evaluation."""
    return float(mean * rng.lognormal(-SPREAD * SPREAD / 2, SPREAD))


@eq.objective(unit="1", per_network=True)
def sleeping(networks: eq.Networks) -> float:
    """A score with couplings, after a sleep; the worker writes down when."""
    begun = time.monotonic()
    genome = networks.genomes[0]
    time.sleep(lognormal(np.random.default_rng(genome.astype(np.uint64)), float(os.environ[_MEAN])))
    score = networks.column("score")[0]
    value = float(score.sum() + (score[1:] * score[:-1]).sum())
    with Path(os.environ[_FOLDER], str(os.getpid())).open("ab") as times:
        times.write(np.array([begun, time.monotonic()]).tobytes())
    return value


def share(options: argparse.Namespace) -> int:
    """Prints a row for each way of searching."""
    os.environ[_MEAN] = str(options.mean)
    problem = eq.TableProblem(generate_tables(options.blocks), [sleeping, "size_bytes"])
    print(
        "| search | share of the workers' time | seconds | parent, ms of the processor a network |\n|---|---|---|---|"
    )
    reached = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_FOLDER] = folder
        for asynchronous in (True, False):
            begun, used = time.perf_counter(), time.process_time()
            search(
                problem,
                evaluations=options.evaluations,
                population=options.population,
                jobs=options.workers,
                asynchronous=asynchronous,
                path=Path(folder, f"{asynchronous}.h5"),
                progress=False,
            )
            seconds, used = time.perf_counter() - begun, time.process_time() - used
            files = [path for path in Path(folder).iterdir() if path.name.isdigit()]
            times = [np.frombuffer(path.read_bytes(), dtype="<f8").reshape(-1, 2) for path in files]
            for path in files:
                path.unlink()
            name = "asynchronous" if asynchronous else "by generations"
            reached[name] = busy(times, options.workers)
            each = 1000 * used / options.evaluations
            print(f"| {name} | {reached[name]:.3f} | {seconds:.1f} | {each:.2f} |", flush=True)
    return 0 if reached["asynchronous"] >= options.least else 1


def busy(workers: list[np.ndarray], width: int) -> float:
    """The share of the workers' time that they worked, while there was work for all of them."""
    if len(workers) < width:
        raise SystemExit(f"only {len(workers)} of {width} workers had work: ask for more evaluations")
    start = max(times[0, 0] for times in workers)
    end = max(times[-1, 0] for times in workers)
    inside = [np.clip(times, start, end) for times in workers]
    return float(sum((times[:, 1] - times[:, 0]).sum() for times in inside) / (width * (end - start)))


def quality(options: argparse.Namespace) -> int:
    """Prints a row for each problem."""
    suite = load_suite("suite")
    print(
        "| problem | workers | asynchronous, median | by generations, median | median difference | p |\n"
        "|---|---|---|---|---|---|"
    )
    for name in options.problems:
        (case,) = (each for each in suite.cases if each.name == name)
        known = case.known_front()
        assert known is not None
        low, high = known.points.min(axis=0), known.points.max(axis=0)

        def reached(points: np.ndarray, low: np.ndarray = low, span: np.ndarray = high - low) -> float:
            return float(hypervolume((points[nondominated(points)] - low) / span, np.full(len(low), 1.1)))

        best = reached(known.points)
        pairs = []
        for seed in range(options.seeds):
            settings = {"evaluations": options.evaluations, "population": options.population, "seed": seed}
            whole = search(case.problem, seeding=False, progress=False, **settings)
            steady = simulated(case.problem, options.workers, **settings)
            pairs.append((reached(steady), reached(whole.front.objectives)))
        one, other = np.array(pairs).T / best
        _, p = wilcoxon(one, other)
        middle = [f"{float(np.median(values)):.4f}" for values in (one, other, one - other)]
        print(f"| {name} | {options.workers} | {' | '.join(middle)} | {p:.3f} |", flush=True)
    return 0


def simulated(problem: eq.Problem, workers: int, *, evaluations: int, population: int, seed: int) -> np.ndarray:
    """The objectives of an asynchronous search whose workers take lognormal times."""
    ready = prepared(
        problem,
        "nsga2",
        evaluations=evaluations,
        population=population,
        seed=seed,
        seeding=False,
        reduce=True,
        variation="default",
    )
    course, rng, now = course_of(ready), np.random.default_rng([seed, workers]), 0.0
    under_way: list[tuple[float, int, np.ndarray]] = []
    found: list[np.ndarray] = []
    while len(found) < evaluations:
        free = min(workers, evaluations - len(found)) - len(under_way)
        for genome in course.ask(free) if free > 0 else ():
            heapq.heappush(under_way, (now + lognormal(rng, 1.0), len(found) + len(under_way), genome))
        now, _, genome = heapq.heappop(under_way)
        objectives, excess = problem.evaluate(genome[None])
        course.answer(genome.astype(np.int64).tobytes(), objectives[0], excess[0])
        found.append(objectives[0])
    return np.array(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["share", "quality"])
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=3000)
    parser.add_argument("--mean", type=float, default=0.05, help="seconds of an evaluation")
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--least", type=float, default=0.85, help="the share that is asked for")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--problems", nargs="+", default=["deceptive", "coupled"])
    options = parser.parse_args()
    return share(options) if options.what == "share" else quality(options)


if __name__ == "__main__":
    sys.exit(main())
