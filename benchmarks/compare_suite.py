"""The reference comparison: every shipped algorithm on the suite, 10 seeds, in under 20 minutes on two cores.

    python benchmarks/compare_suite.py [--seeds 10] [--evaluations 5000] [--jobs 2] [--keep]

`--keep` replaces `results/reference/suite/` by the small files of the result. The run folder `results/suite/` holds the
archives; delete it first to measure the time, else finished runs are reused.
"""

import argparse
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "suite"
KEPT = ROOT / "results" / "reference" / "suite"
SMALL = ("medians.csv", "statistics.csv", "ranks.csv", "summary.txt", "*.png")
MOST_MINUTES = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=5000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    words = ["compare", "suite", "--seeds", str(options.seeds), "--evaluations", str(options.evaluations)]
    words += ["--jobs", str(options.jobs), "-o", str(FOLDER.relative_to(ROOT))]
    fresh = not FOLDER.exists()
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "evo_qnas.cli", *words], cwd=ROOT, check=True)
    minutes = (time.perf_counter() - start) / 60
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / 60
    print(f"{minutes:.1f} minutes, {cpu:.1f} minutes of processor time{'' if fresh else ', earlier runs reused'}")
    if options.keep:
        keep(["evo-qnas", *words], minutes, cpu, fresh=fresh)
    return int(fresh and minutes > MOST_MINUTES)


def keep(command: list[str], minutes: float, cpu: float, *, fresh: bool) -> None:
    """Copies the small files, with the command, the commit and the hardware."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    for pattern in SMALL:
        for path in FOLDER.glob(pattern):
            shutil.copyfile(path, KEPT / path.name)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    took = f"{minutes:.1f} minutes, {cpu:.1f} minutes of processor time" if fresh else "finished runs were reused"
    text = (
        "# The reference comparison\n\n"
        f"    {' '.join(command)}\n\n"
        f"Commit {commit.stdout.strip()}, {platform.machine()}, Python {platform.python_version()}; {took}.\n"
        "`summary.txt` is what the command prints; tables and pictures are from its folder (`results/README.md`).\n"
        "Made by `python benchmarks/compare_suite.py --keep`.\n"
    )
    (KEPT / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
