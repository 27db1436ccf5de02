"""Algorithms of other libraries (`examples/`) beside ours on the problems of the suite, without seeds for all.

    python -m benchmarks.foreign_algorithms --seeds 3 --evaluations 100 -o results/reference/foreign

Libraries that are not installed are left out, and the summary says so. Keeps tables and summary, no archives.
"""

import argparse
import importlib
import importlib.util
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from evo_qnas.compare import compare, summary_text
from evo_qnas.compare.suite import load_suite
from evo_qnas.files import write_text

FOREIGN = {
    "optuna": ("optuna", "examples.optuna_sampler", "OptunaSampler"),
    "pyribs": ("ribs", "examples.pyribs_emitter", "PyribsEmitter"),
    "botorch": ("botorch", "examples.botorch_acquisition", "BotorchAcquisition"),
}
KEPT = ("medians.csv", "statistics.csv", "ranks.csv", "runtimes.csv", "summary.txt")


def foreign() -> tuple[dict[str, Any], dict[str, str]]:
    """The algorithms whose libraries are installed, and the reasons of those left out."""
    found, missing = {}, {}
    for name, (library, module, kind) in FOREIGN.items():
        if importlib.util.find_spec(library) is None:
            missing[name] = f"{library} is not installed"
            continue
        found[name] = {"algorithm": getattr(importlib.import_module(module), kind), "population": 20}
    return found, missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found, missing = foreign()
    if "optuna" in found:
        importlib.import_module("optuna").logging.set_verbosity(40)
    suite = load_suite(only=arguments.only)
    kinds = {**found, "nsga2": {"algorithm": "nsga2", "population": 20}, "local": "local"}
    runs = arguments.output / "all"
    compared = compare(
        suite.cases,
        kinds,
        seeds=arguments.seeds,
        evaluations=arguments.evaluations,
        path=runs,
        seeding="none",
        against="nsga2",
        skipped={**suite.skipped, **missing},
        command=" ".join(["python -m benchmarks.foreign_algorithms", *sys.argv[1:]]),
    )
    print(summary_text(compared))
    for name in KEPT:
        write_text(arguments.output / name, (runs / name).read_text(encoding="utf-8"))
    shutil.rmtree(runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
