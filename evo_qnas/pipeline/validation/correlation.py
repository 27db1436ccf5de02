"""The rank correlation of score and metric over random networks."""

import numpy as np
from jaxtyping import Float
from scipy import stats

from evo_qnas.files import write_text
from evo_qnas.pipeline.context import RunContext, digest, read_json, seed_of, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.problems import score_of
from evo_qnas.pipeline.validation.building import choices_of
from evo_qnas.pipeline.validation.measuring import MeasureBefore
from evo_qnas.summary import RankCorrelation
from evo_qnas.tables import Tables

_RESAMPLES = 2000  # the ends of a 95 % interval then vary by about a tenth of its width from seed to seed
_FEWEST = 3  # two networks have a tau of -1 or 1 whatever they are


def rank_correlation(context: RunContext, tables: Tables, *, jobs: int) -> RankCorrelation | None:
    """Kendall's tau between predicted score and metric before fine-tuning over random genomes, with its interval.

    The score is the one that the main search minimises.

    The metric is that on the search images; `better_half` is the same within the half with the better scores, where a
    search looks for its networks. The interval is the 2.5 % .. 97.5 % percentile bootstrap over networks. None where
    the card asks for fewer than three networks.
    """
    count = context.card.validation.random_networks
    if count < _FEWEST:
        return None
    path = context.paths.networks / "random.json"
    fingerprint = digest("random", context.fingerprints.tables, count)
    known = read_json(path, fingerprint)
    rng = np.random.default_rng(seed_of("random networks", context.card.seed))
    genomes = np.stack([rng.integers(0, tables.choices) for _ in range(count)])
    if known is None:
        items = [choices_of(tables, genome.tolist()) for genome in genomes]
        values = in_jobs(MeasureBefore(context), items, context=context, jobs=jobs, label="random networks")
        known = {"fingerprint": fingerprint, "genomes": genomes.tolist(), "metric": values}
        write_text(path, to_json(known))
    scores, measured = tables.total(score_of(context.card.search), genomes), np.array(known["metric"], dtype=np.float64)
    measured = measured if context.task.maximize else -measured
    whole = kendall(-scores, measured, seed=context.card.seed)
    better = np.argsort(scores, kind="stable")[: count // 2]
    if len(better) < _FEWEST:
        return whole
    half = kendall(-scores[better], measured[better], seed=context.card.seed)
    return whole.model_copy(update={"better_half": half})


def kendall(predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"], *, seed: int) -> RankCorrelation:
    """Kendall's tau-b of two rankings with a 95 % percentile bootstrap interval; None where a ranking is constant."""
    tau = float(stats.kendalltau(predicted, measured).statistic)
    if not np.isfinite(tau):
        return RankCorrelation(kendall_tau=None, networks=len(predicted), low=None, high=None)
    rng = np.random.default_rng(seed)
    resamples = []
    for _ in range(_RESAMPLES):
        chosen = rng.integers(0, len(predicted), len(predicted))
        value = float(stats.kendalltau(predicted[chosen], measured[chosen]).statistic)
        if np.isfinite(value):
            resamples.append(value)
    low, high = np.quantile(resamples, [0.025, 0.975])
    return RankCorrelation(kendall_tau=tau, networks=len(predicted), low=float(low), high=float(high))
