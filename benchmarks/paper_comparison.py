"""The two comparisons of QA-BWNAS (Lu et al. 2023) from finished runs of one card, one run a seed.

    for s in 0 1 2; do evo-qnas run camvid --seed $s -o results/camvid-$s; done
    python benchmarks/paper_comparison.py results/camvid-[012] [--keep results/reference/camvid]

Few-bit networks are compared by size and INT8 networks by latency, both with the INT8 teacher that got the same
fine-tuning, on the test split. Picks of different seeds stand in one row where they were asked for by the same share.
The mean difference has its standard error over test images, paired: all networks of all seeds on the same resamples.
Differences on the search split (val), which has chosen, stand beside those on test.
`--keep` copies the first run's small files and the tables. Ends with exit code 1 where no row is 33 % smaller (17.6 %
faster) at a mean metric that is not below the INT8 teacher's.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.networks.models.weights import load_weights
from evo_qnas.networks.tasks.segmentation import Segmentation
from evo_qnas.networks.tasks.uncertainty import resampled

LIMITS = {"size_bytes": (0.33, "smaller"), "latency_ms": (0.176, "faster")}
SMALL = ("card.toml", "tables.h5", "front.csv", "front.png", "summary.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, one a seed")
    parser.add_argument("--keep", type=Path, help="folder for the tables and the first run's small files")
    options = parser.parse_args()
    summaries = [json.loads((run / "summary.json").read_text(encoding="utf-8")) for run in options.runs]
    lines, good = teachers(summaries), True
    names = {"": "size_bytes"} | {name: found["pick_by"] for name, found in summaries[0]["searches"].items()}
    for name, cost in names.items():
        table, met = comparison(options.runs, summaries, name, cost)
        lines += table
        good &= met
    lines += correlations(summaries)
    print("\n".join(lines))
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        for file in SMALL:
            if (options.runs[0] / file).is_file():
                shutil.copyfile(options.runs[0] / file, options.keep / file)
        for run, summary in zip(options.runs[1:], summaries[1:], strict=True):
            shutil.copyfile(run / "summary.json", options.keep / f"summary-{summary['seed']}.json")
        (options.keep / "comparison.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return int(not good)


def teachers(summaries: list[dict[str, Any]]) -> list[str]:
    """Float and INT8 teacher of each run."""
    metric = summaries[0]["metric"]["name"]
    lines = [
        f"| seed | float {metric} | INT8 before fine-tuning | INT8 {metric} | INT8 bytes | INT8 ms |",
        "|---" * 6 + "|",
    ]
    for summary in summaries:
        int8 = summary["teacher_int8"]
        latency = "" if int8["latency_ms"] is None else f"{int8['latency_ms']:.2f}"
        values = (summary["teacher_float"]["metric"], int8["metric_before_finetune"], int8["metric"])
        metrics = " | ".join(f"{100 * value:.2f}" for value in values)
        lines.append(f"| {summary['seed']} | {metrics} | {int8['size_bytes']:,} | {latency} |")
    return [*lines, ""]


def comparison(runs: list[Path], summaries: list[dict[str, Any]], search: str, cost: str) -> tuple[list[str], bool]:
    """One row per pick of a search, largest first, and whether a row meets the paper's saving without loss."""
    least, word = LIMITS.get(cost, (0.0, "less"))
    picks = [
        sorted((n for n in s["networks"] if search in n["searches"]), key=lambda n: -(n[cost] or np.inf))
        for s in summaries
    ]
    rows = min(len(found) for found in picks)
    lines = [
        f"{'Main search' if not search else f'Search {search}'}, by {cost}:",
        "",
        f"| pick | {word} | metric by seed | minus INT8 teacher, by seed | mean difference | the same on val |",
        "|---" * 6 + "|",
    ]
    met = False
    for row in range(rows):
        chosen = [found[row] for found in picks]
        if any(entry[cost] is None for entry in chosen):
            continue
        saved = [1 - e[cost] / s["teacher_int8"][cost] for e, s in zip(chosen, summaries, strict=True)]
        gain = differences(chosen, summaries, "metric")
        met |= min(saved) >= least and float(np.mean(gain)) >= 0.0
        error = paired_error(runs, [entry["id"] for entry in chosen])
        known = all("metric_search_split" in summary["teacher_int8"] for summary in summaries)
        val = np.mean(differences(chosen, summaries, "metric_search_split")) if known else None
        lines.append(
            f"| {row + 1} | {', '.join(f'{100 * value:.1f} %' for value in saved)} "
            f"| {', '.join(format(100 * entry['metric'], '.2f') for entry in chosen)} "
            f"| {', '.join(f'{value:+.2f}' for value in gain)} "
            f"| {np.mean(gain):+.2f}{'' if error is None else f' ± {error:.2f}'} "
            f"| {'' if val is None else f'{val:+.2f}'} |"
        )
    return [*lines, ""], met


def differences(chosen: list[dict[str, Any]], summaries: list[dict[str, Any]], metric: str) -> list[float]:
    """Points that a network of each run has more than the run's INT8 teacher."""
    return [100 * (e[metric] - s["teacher_int8"][metric]) for e, s in zip(chosen, summaries, strict=True)]


def paired_error(runs: list[Path], chosen: list[str]) -> float | None:
    """Standard error in points of the mean difference over test images, None where a run kept no outcomes."""
    values = []
    for run, name in zip(runs, chosen, strict=True):
        files = [run / "networks" / identity / "outcomes.safetensors" for identity in (name, "teacher_int8")]
        if not all(file.is_file() for file in files):
            return None
        one, whole = (resampled(load_weights(file)[0]["outcomes"], Segmentation().metric_of, seed=0) for file in files)
        values.append(one - whole)
    return float(100 * np.std(np.mean(values, axis=0), ddof=1))


def correlations(summaries: list[dict[str, Any]]) -> list[str]:
    """Kendall's tau of score and metric before fine-tuning."""
    lines = []
    for summary in summaries:
        tau = summary["rank_correlation"]
        if tau is None or tau["kendall_tau"] is None:
            continue
        better = tau.get("better_half")
        half = (
            ""
            if not better or better["kendall_tau"] is None
            else (f"; within the better half {better['kendall_tau']:.2f} ({better['low']:.2f} .. {better['high']:.2f})")
        )
        lines.append(
            f"Seed {summary['seed']}: Kendall tau {tau['kendall_tau']:.2f} ({tau['low']:.2f} .. {tau['high']:.2f}, "
            f"{tau['networks']} random networks){half}."
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
