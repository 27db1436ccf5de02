"""Two rounds against one at the same number of fine-tuned networks, on a card, several seeds.

All ways share teacher, candidates and tables of a seed. `one` fine-tunes the best scores within 14 shares of the INT8
teacher's size; `two` those within 7 shares and 7 that a predictor proposes which was fitted to them; `calibrated` 7
shares and 7 of a predictor fitted to networks measured as assembled. What counts is the hypervolume on the test images
of (error, size as a share of the INT8 teacher's) below an error of 0.1 and the INT8 teacher's size, all scaled to 1.

    python benchmarks/rounds.py --seeds 5 -o results/rounds
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from evo_qnas.files import write_text
from evo_qnas.pareto import hypervolume
from evo_qnas.pipeline import load_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.jobs import default_jobs
from evo_qnas.pipeline.problems import problem_of
from evo_qnas.pipeline.stages.blocks import make_blocks
from evo_qnas.pipeline.stages.in_context import add_in_context
from evo_qnas.pipeline.stages.rounds import further_rounds
from evo_qnas.pipeline.stages.search import make_archive
from evo_qnas.pipeline.stages.tables import make_tables
from evo_qnas.pipeline.stages.teacher import make_teacher
from evo_qnas.pipeline.validation import BASELINE, pick, validate_picks

SEVEN = [0.8, 0.67, 0.6, 0.5, 0.4, 0.3, 0.2]
FOURTEEN = [*SEVEN, 0.73, 0.63, 0.55, 0.45, 0.35, 0.25, 0.15]
WORST_ERROR = 0.1
KEPT = ("id", "genome", "round", "size_bytes", "metric", "metric_search_split", "metric_before_finetune")
WAYS: dict[str, list[str]] = {
    "one": [],
    "two": ["search.rounds=2", "predictor.batch=7"],
    "calibrated": ["search.rounds=2", "predictor.batch=7", 'predictor.measure="calibrated"'],
}


def context_of(card: str, folder: Path, seed: int, changes: list[str]) -> RunContext:
    name, content = load_card(card, changes=changes, seed=seed)
    return RunContext(name=name, card=content, folder=folder.resolve())


def volume(entries: list[dict[str, Any]], metric: str) -> float:
    """Hypervolume of the validated networks, the INT8 teacher left out."""
    whole = next(entry["size_bytes"] for entry in entries if entry["id"] == BASELINE)
    points = [[1.0 - entry[metric], entry["size_bytes"] / whole] for entry in entries if entry["id"] != BASELINE]
    return hypervolume(np.array(points) / np.array([WORST_ERROR, 1.0]), np.ones(2))


def measure(card: str, folder: Path, seed: int, jobs: int, changes: list[str]) -> dict[str, Any]:
    """All ways of one seed, kept in `rounds.json` of its folder."""
    kept = folder / "rounds.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    base = context_of(card, folder, seed, changes)
    make_teacher(base)
    make_blocks(base, jobs=jobs)
    tables = add_in_context(base, make_tables(base, jobs=jobs), jobs=jobs)
    front = make_archive(base, problem_of(base, tables)).front.genomes
    found: dict[str, Any] = {"seed": seed}
    for way, more in WAYS.items():
        context = context_of(card, folder, seed, [*changes, *more])
        picks = pick(tables, front, FOURTEEN if way == "one" else SEVEN, least=14 if way == "one" else 7)
        first = validate_picks(context, tables, picks, jobs=jobs)
        networks, log = further_rounds(context, tables, first, jobs=jobs)
        entries = [network.to_dict() for network in networks]
        found[way] = {
            "networks": len(networks) - 1,
            "test": volume(entries, "metric"),
            "search": volume(entries, "metric_search_split"),
            "rounds": log,
            "entries": [{key: entry.get(key) for key in KEPT} for entry in entries],
        }
        print(
            f"seed {seed}, {way}: {found[way]['networks']} networks, hypervolume {found[way]['test']:.4f}", flush=True
        )
    write_text(kept, json.dumps(found, indent=1) + "\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="digits")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=default_jobs())
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="A.B=C")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/rounds"))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    found = [
        measure(options.card, options.output / f"seed-{seed}", seed, options.jobs, options.changes) for seed in seeds
    ]
    print(f"\nhypervolume of (error, size) on the test images, {len(found)} seeds, the same number of networks")
    for way in WAYS:
        test, search = (np.array([one[way][split] for one in found]) for split in ("test", "search"))
        print(
            f"{way:12} mean {test.mean():.4f} (search images {search.mean():.4f})  "
            f"networks {sorted({one[way]['networks'] for one in found})}  "
            f"by seed {' '.join(f'{value:.4f}' for value in test)}"
        )
    base = np.array([one["one"]["test"] for one in found])
    for way in list(WAYS)[1:]:
        gain = np.array([one[way]["test"] for one in found]) - base
        p = stats.wilcoxon(gain).pvalue if len(gain) > 4 and gain.any() else float("nan")
        print(
            f"{way} - one: mean {gain.mean():+.4f}, better on {int((gain > 0).sum())} of {len(gain)} seeds, p {p:.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
