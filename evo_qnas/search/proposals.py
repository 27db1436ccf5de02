"""Networks worth measuring next, chosen by predictions of their objectives."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.pareto import nondominated
from evo_qnas.predict import Predictor
from evo_qnas.problem import Problem
from evo_qnas.search.forecast import Forecast, Known
from evo_qnas.search.improvement import best_batch, promising
from evo_qnas.search.nsga2 import NSGA2
from evo_qnas.search.ranking import constrained_ranks, crowding
from evo_qnas.search.variation import Variation, load_recipe
from evo_qnas.search.visited import Visited
from evo_qnas.spaces import Space


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalTuning:
    """Numbers of `Proposals`; chosen, not measured one by one.

    `benchmarks/nas_bench_macro.py --surrogate` measures the whole.

    Attributes:
        enumerated: spaces of up to so many networks are looked at whole.
        generations: of the inner NSGA-II on confidence bounds, in larger spaces.
        population: of the inner NSGA-II.
        marginal_draws: draws of each candidate's objectives, for the short list.
        joint_draws: joint draws of the short list's objectives, for the batch.
        short_list: candidates on the short list, of two objectives at most.
        short_list_of_many: the same of more objectives, whose hypervolumes take long.
        digits: gains are rounded to so many decimals, so that no machine's last digit decides an order.
    """

    enumerated: int = 20_000
    generations: int = 25
    population: int = 100
    marginal_draws: int = 32
    joint_draws: int = 16
    short_list: int = 300
    short_list_of_many: int = 100
    digits: int = 9


_TUNING = ProposalTuning()


def propose(
    problem: Problem,
    models: tuple[Predictor | None, ...],
    genomes: Int[np.ndarray, "n blocks"],
    objectives: Float[np.ndarray, "n m"],
    size: int,
    *,
    rng: np.random.Generator,
) -> Int[np.ndarray, "size blocks"]:
    """Networks not measured yet that together are expected to add the most hypervolume to the measured ones.

    Args:
        problem: objectives and limits; it is not evaluated, the values that its tables know are used.
        models: per objective its predictor; None where the problem's tables know it.
        genomes: the measured networks; only those within the limits that are known count for the front.
        objectives: their values, all minimised.
        size: how many, at most.
        rng: draws.
    """
    space = problem.space
    known = Known(problem=problem, space=space)
    forecast = Forecast(known=known, models=models, limits=None)
    genes, visited = space.encode(genomes), Visited(space)
    visited.add(genes)
    within = forecast.chance(genes) > 0
    front = objectives[within][nondominated(objectives[within])]
    start = genes[within][nondominated(objectives[within])]
    maker = Proposals(Variation(space, load_recipe("default")), visited, rng)
    candidates = maker.candidates(forecast, start)
    return space.decode(candidates[maker.pick(forecast, front, candidates, size)])


@final
class Proposals:
    """Finds candidates by their confidence bounds, and batches among them by expected hypervolume improvement."""

    def __init__(self, variation: Variation, visited: Visited, rng: np.random.Generator) -> None:
        self._variation = variation
        self._space: Space = variation.space
        self._visited = visited
        self._rng = rng

    def candidates(self, forecast: Forecast, start: Int[np.ndarray, "s genes"]) -> Int[np.ndarray, "c genes"]:
        """Networks not visited yet: all of a small space, else those of an NSGA-II on confidence bounds.

        Args:
            forecast: of all objectives.
            start: networks that NSGA-II starts from, the best so far.
        """
        if self._space.size <= _TUNING.enumerated:
            return self._visited.filter_new(every_gene_value(self._space))
        inner = NSGA2(
            self._variation, population=_TUNING.population, rng=self._rng, seeds=start[: 2 * _TUNING.population]
        )
        asked = []
        for _ in range(_TUNING.generations):
            genes = inner.ask()
            if not len(genes):
                break
            inner.tell(genes, *forecast.confidence_bound(genes))
            asked.append(genes)
        return self._visited.filter_new(np.concatenate(asked))

    def pick(
        self, forecast: Forecast, front: Float[np.ndarray, "f m"], candidates: Int[np.ndarray, "c genes"], size: int
    ) -> Int[np.ndarray, " picked"]:
        """The batch among the candidates; those that may still be worth something fill it up."""
        if not len(candidates):
            return np.zeros(0, dtype=np.int64)
        chance = forecast.chance(candidates)
        draws = forecast.draws(self._rng, candidates, _TUNING.marginal_draws, joint=False)
        gains = np.round(promising(front, draws, chance), _TUNING.digits)
        listed = _TUNING.short_list_of_many if front.shape[1] > 2 else _TUNING.short_list
        order = np.argsort(-gains, kind="stable")[: max(listed, 2 * size)]
        short = order[gains[order] > 0]
        picked = short[:0]
        if len(short):
            joint = forecast.draws(self._rng, candidates[short], _TUNING.joint_draws, joint=True)
            picked = short[best_batch(front, joint, chance[short], size)]
        if len(picked) < size:
            picked = np.concatenate([picked, self._fill(forecast, candidates, picked, size - len(picked))])
        return picked

    def _fill(
        self, forecast: Forecast, candidates: Int[np.ndarray, "c genes"], picked: Int[np.ndarray, " p"], size: int
    ) -> Int[np.ndarray, " filled"]:
        """Candidates whose confidence bounds are the least dominated, the most apart first."""
        left = np.setdiff1d(np.arange(len(candidates)), picked)
        values, violation = forecast.confidence_bound(candidates[left])
        ranks = constrained_ranks(values, violation)
        apart = crowding(np.where(np.isfinite(values), values, 0.0), ranks)
        return left[np.lexsort((-np.round(apart, _TUNING.digits), ranks))[:size]]


def every_gene_value(space: Space) -> Int[np.ndarray, "size genes"]:
    """All gene values of a small space."""
    if not len(space.genes):
        return np.zeros((1, 0), dtype=np.int64)
    places = np.unravel_index(np.arange(space.size), tuple(space.counts))
    return np.stack(places, axis=1).astype(np.int64)
