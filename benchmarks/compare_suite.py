"""The reference comparison: our algorithms and others on the suite, 10 seeds, in under 20 minutes on two cores.

    python -m benchmarks.compare_suite [--seeds 10] [--evaluations 5000] [--jobs 2] [--only PATTERN ..] [--keep]

`--keep` replaces the small files in `results/reference/suite/` by those of the result; its README is written by hand.
The run folder `results/suite/` holds the archives; delete it first to measure the time, else finished runs are reused.
pygmo's algorithms are left out where it is not installed, and the summary says so. `--algorithms` limits the comparison
to some names, to go on with all of them later. `--ablation` compares `nsga2` with itself without its linear model and
without seeds instead, and keeps its `summary.txt` as `ablation.txt`.
"""

import argparse
import importlib.util
import platform
import resource
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.rivals import PYGMO, WithoutModel, two_point
from evo_qnas.compare import compare, summary_text
from evo_qnas.compare.suite import Suite, load_suite

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "suite"
ABLATION = ROOT / "results" / "suite-ablation"
KEPT = ROOT / "results" / "reference" / "suite"
SMALL = ("medians.csv", "statistics.csv", "ranks.csv", "summary.txt", "*.png")
MOST_MINUTES = 20.0
PARTS: dict[str, Any] = {
    "nsga2": "nsga2",
    "without-model": WithoutModel(),
    "without-seeds": {"algorithm": "nsga2", "seeding": False, "reduce": False},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--algorithms", nargs="*", default=[])
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    folder = ABLATION if options.ablation else FOLDER
    fresh = not folder.exists()
    start = time.perf_counter()
    suite = load_suite(only=options.only)
    algorithms, missing = (PARTS, {}) if options.ablation else compared(suite)
    comparison = compare(
        suite.cases,
        {name: algorithms[name] for name in options.algorithms or algorithms},
        seeds=options.seeds,
        evaluations=options.evaluations,
        path=folder,
        jobs=options.jobs,
        against=suite.against,
        skipped={**suite.skipped, **missing},
        command=" ".join(["python -m benchmarks.compare_suite", *sys.argv[1:]]),
    )
    print(summary_text(comparison))
    minutes = (time.perf_counter() - start) / 60
    print(f"{minutes:.1f} minutes, {processor_minutes():.1f} minutes of processor time")
    print("measured from nothing" if fresh else "finished runs were reused")
    print(f"commit {commit()}, {platform.machine()}, Python {platform.python_version()}")
    if options.keep:
        keep(ablation=options.ablation)
    return int(fresh and minutes > MOST_MINUTES)


def compared(suite: Suite) -> tuple[dict[str, Any], dict[str, str]]:
    """All algorithms by name, and the reasons of those left out."""
    algorithms: dict[str, Any] = {**{name: name for name in suite.algorithms}, "two-point-nsga2": two_point()}
    if importlib.util.find_spec("pygmo") is None:
        return algorithms, dict.fromkeys(PYGMO, "pygmo is not installed")
    return {**algorithms, **PYGMO}, {}


def processor_minutes() -> float:
    """Processor time of this process and those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used) / 60


def commit() -> str:
    """The checkout's commit."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def keep(*, ablation: bool) -> None:
    """Copies the small files."""
    KEPT.mkdir(parents=True, exist_ok=True)
    if ablation:
        shutil.copyfile(ABLATION / "summary.txt", KEPT / "ablation.txt")
        return
    for pattern in SMALL:
        for path in [*KEPT.glob(pattern)]:
            path.unlink()
        for path in FOLDER.glob(pattern):
            shutil.copyfile(path, KEPT / path.name)


if __name__ == "__main__":
    sys.exit(main())
