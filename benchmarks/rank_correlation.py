"""How well scores and predictors rank networks that were not measured, as Kendall's tau.

On NAS-Bench-Macro every predictor is fitted to some random networks and ranks all others by their error (mean of three
trainings); additive least squares stands beside it. Needs the real data (`../shared/data` or `$EVO_QNAS_DATA`).

    python benchmarks/rank_correlation.py macro

On a run folder (of `evo-qnas run CARD --until tables` or later) random networks are assembled and measured on the
search images, some of them after fine-tuning too; sums of the tables' scores rank them, predictors under
cross-validation.

    evo-qnas run digits --until tables --set 'in_context.measure="kl"' -o results/ranks
    python benchmarks/rank_correlation.py results/ranks --before 80 --after 24
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
from scipy import stats

from evo_qnas.predict import Features, assess, choose, fit_predictor, kendall
from evo_qnas.problem import space_of
from evo_qnas.spaces import Space
from evo_qnas.tables import Tables
from evo_qnas.tables.importers import read_macro

DATA = Path(os.environ.get("EVO_QNAS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
KINDS = ("ridge", "pairwise", "process", "ensemble")
WANTED = 0.83
RNG = np.random.default_rng(0)


def least_squares(genomes: np.ndarray, error: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The additive fit without shrinkage or change of scale, for comparison."""

    def design(rows: np.ndarray) -> np.ndarray:
        hot = [rows[:, [block]] == np.arange(1, 3) for block in range(rows.shape[1])]
        return np.concatenate([np.ones((len(rows), 1)), *hot], axis=1)

    return design(others) @ np.linalg.lstsq(design(genomes), error, rcond=None)[0]


def macro(seeds: int) -> int:
    """Fits on 50 and 200 random networks, ranks the rest; 1 where 200 miss the wanted tau."""
    if not DATA.is_dir():
        print(f"needs the real data at {DATA} (or set EVO_QNAS_DATA)")
        return 0
    truth = read_macro(DATA / "nas_bench_macro_cifar10.npz")
    single = 100.0 - np.load(DATA / "nas_bench_macro_cifar10.npz", allow_pickle=False)["test_acc"]
    ceiling = stats.kendalltau(single[:, 0], single[:, 1]).statistic
    print(f"NAS-Bench-Macro: tau on all other networks, {seeds} seeds; two single trainings agree with {ceiling:.3f}")
    features = Features.of(Space.from_counts([3] * 8))
    missed = False
    for measured in (50, 200):
        taus: dict[str, list[float]] = {}
        inside, chosen = [], []
        start = time.process_time()
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            order = rng.permutation(len(truth.error))
            seen, rest = order[:measured], order[measured:]
            genes, error = truth.genomes[seen], truth.error[seen]
            predicted = {
                kind: fit_predictor(kind, features, genes, error, rng=np.random.default_rng(seed)).predict(
                    truth.genomes[rest]
                )[0]
                for kind in KINDS
            }
            choice = choose(features, genes, error, seed=seed)
            chosen.append(choice.kind)
            predicted["chosen by cross-validation"] = choice.predictor.predict(truth.genomes[rest])[0]
            predicted["additive least squares"] = least_squares(genes, error, truth.genomes[rest])
            for name, values in predicted.items():
                taus.setdefault(name, []).append(stats.kendalltau(values, truth.error[rest]).statistic)
            inside.append(choice.tau.low <= taus["chosen by cross-validation"][-1] <= choice.tau.high)
        print(f"{measured} measured ({time.process_time() - start:.0f} s of CPU)")
        for name, values in sorted(taus.items(), key=lambda item: np.median(item[1])):
            print(f"  {name:28} median {np.median(values):.3f}  least {min(values):.3f}")
        print(f"  chosen: {', '.join(f'{kind} {chosen.count(kind)}' for kind in sorted(set(chosen)))}")
        print(f"  the interval stated beforehand held the tau on the others in {sum(inside)} of {seeds}")
        if measured == 200:
            missed = np.median(taus["chosen by cross-validation"]) < WANTED
            print(f"wanted: a tau of {WANTED} by the chosen one: {'MISSED' if missed else 'met'}")
    return int(missed)


def of_run(folder: Path, before: int, after: int, jobs: int) -> int:
    """Scores and predictors on random networks of a run folder, before and after fine-tuning."""
    from evo_qnas.pipeline.stored import open_run
    from evo_qnas.pipeline.validation import choices_of, measure_before, validate_picks
    from evo_qnas.spaces import network_id

    context = open_run(folder, trust=True)
    tables = Tables.load(folder / "tables.h5")
    space = Space.from_counts(tables.choices.tolist())
    genomes = np.unique(space.sample(np.random.default_rng(context.card.seed), 2 * before), axis=0)
    genomes = np.random.default_rng(context.card.seed).permutation(genomes)[:before]
    metric = np.array(measure_before(context, [choices_of(tables, genome) for genome in genomes.tolist()], jobs=jobs))
    print(f"{folder.name}: {before} random networks as assembled, {context.task.metric_name} on the search images")
    rank(tables, genomes, metric)
    if after:
        few = genomes[:after]
        picks = {network_id(genome.tolist()): tuple(genome.tolist()) for genome in few}
        networks = validate_picks(context, tables, picks, jobs=jobs)
        print(f"{after} of them after fine-tuning")
        rank(tables, few, np.array([network.metric_search_split for network in networks]))
        print("the metric as assembled, for comparison")
        print(f"  {'':24} {kendall(metric[:after], np.array([n.metric_search_split for n in networks]), rng=RNG)}")
    return 0


def rank(tables: Tables, genomes: np.ndarray, metric: np.ndarray) -> None:
    """Prints tau of every score's sum and of every predictor under cross-validation."""
    scores = [name for name in ("score", "score_in_context") if name in tables.columns]
    better = np.argsort(tables.total("score", genomes), kind="stable")[: len(genomes) // 2]
    for name in scores:
        total = tables.total(name, genomes)
        half = kendall(-total[better], metric[better], rng=RNG)
        print(f"  sum of {name:17} {kendall(-total, metric, rng=RNG)}; better half by score {half}")
    space = space_of(tables)
    for name in scores:
        features = Features.of(space, tables, names=[name, "size_bytes", "bit_operations"])
        for kind in ("monotone", "ridge", "pairwise", "process", "ensemble"):
            print(f"  {kind:9} on {name:14} {assess(kind, features, space.encode(genomes), 1.0 - metric).tau}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="macro, or a run folder")
    parser.add_argument("--before", type=int, default=80, help="networks of a run folder measured as assembled")
    parser.add_argument("--after", type=int, default=24, help="and after fine-tuning")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=11)
    options = parser.parse_args()
    if options.what == "macro":
        return macro(options.seeds)
    return of_run(Path(options.what), options.before, options.after, options.jobs)


if __name__ == "__main__":
    sys.exit(main())
