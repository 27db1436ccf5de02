"""Networks worth measuring next, given what is foretold."""

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
from evo_qnas.search.seen import Seen
from evo_qnas.search.variation import Variation, load_recipe
from evo_qnas.spaces import Space

_ENUMERATED = 20_000
_GENERATIONS = 25
_INNER = 100
_MARGINAL_DRAWS = 32
_JOINT_DRAWS = 16
_SHORT_LIST = {True: 100, False: 300}
_DIGITS = 9


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
        problem: objectives and limits; nothing of it is evaluated, what its tables say is used.
        models: per objective its predictor; None where the problem's tables know it.
        genomes: what was measured; only those within the limits that are known count for the front.
        objectives: their values, all minimised.
        size: how many, at most.
        rng: draws.
    """
    space = problem.space
    known = Known(problem=problem, space=space)
    forecast = Forecast(known=known, models=models, limits=None)
    genes, seen = space.encode(genomes), Seen(space)
    seen.add(genes)
    within = forecast.chance(genes) > 0
    front = objectives[within][nondominated(objectives[within])]
    start = genes[within][nondominated(objectives[within])]
    maker = Proposals(Variation(space, load_recipe("default")), seen, rng)
    candidates = maker.candidates(forecast, start)
    return space.decode(candidates[maker.pick(forecast, front, candidates, size)])


@final
class Proposals:
    """Finds candidates by what is hoped of them, and batches among them by expected hypervolume improvement."""

    def __init__(self, variation: Variation, seen: Seen, rng: np.random.Generator) -> None:
        self._variation = variation
        self._space: Space = variation.space
        self._seen = seen
        self._rng = rng

    def candidates(self, forecast: Forecast, start: Int[np.ndarray, "s genes"]) -> Int[np.ndarray, "c genes"]:
        """Networks not met yet: all of a small space, else what NSGA-II meets on hopeful values.

        Args:
            forecast: of all objectives.
            start: networks that NSGA-II starts from, the best so far.
        """
        if self._space.size <= _ENUMERATED:
            return self._seen.unmet(every_gene_value(self._space))
        inner = NSGA2(self._variation, population=_INNER, rng=self._rng, seeds=start[: 2 * _INNER])
        met = []
        for _ in range(_GENERATIONS):
            genes = inner.ask()
            if not len(genes):
                break
            inner.tell(genes, *forecast.hopeful(genes))
            met.append(genes)
        return self._seen.unmet(np.concatenate(met))

    def pick(
        self, forecast: Forecast, front: Float[np.ndarray, "f m"], candidates: Int[np.ndarray, "c genes"], size: int
    ) -> Int[np.ndarray, " picked"]:
        """The batch among the candidates; those that may still be worth something fill it up."""
        if not len(candidates):
            return np.zeros(0, dtype=np.int64)
        chance = forecast.chance(candidates)
        draws = forecast.draws(self._rng, candidates, _MARGINAL_DRAWS, joint=False)
        gains = np.round(promising(front, draws, chance), _DIGITS)
        order = np.argsort(-gains, kind="stable")[: max(_SHORT_LIST[front.shape[1] > 2], 2 * size)]
        short = order[gains[order] > 0]
        picked = short[:0]
        if len(short):
            joint = forecast.draws(self._rng, candidates[short], _JOINT_DRAWS, joint=True)
            picked = short[best_batch(front, joint, chance[short], size)]
        if len(picked) < size:
            picked = np.concatenate([picked, self._fill(forecast, candidates, picked, size - len(picked))])
        return picked

    def _fill(
        self, forecast: Forecast, candidates: Int[np.ndarray, "c genes"], picked: Int[np.ndarray, " p"], size: int
    ) -> Int[np.ndarray, " filled"]:
        """Candidates whose hopeful values are the least dominated, the most apart first."""
        left = np.setdiff1d(np.arange(len(candidates)), picked)
        values, violation = forecast.hopeful(candidates[left])
        ranks = constrained_ranks(values, violation)
        apart = crowding(np.where(np.isfinite(values), values, 0.0), ranks)
        return left[np.lexsort((-np.round(apart, _DIGITS), ranks))[:size]]


def every_gene_value(space: Space) -> Int[np.ndarray, "size genes"]:
    """All gene values of a small space."""
    if not len(space.genes):
        return np.zeros((1, 0), dtype=np.int64)
    places = np.unravel_index(np.arange(space.size), tuple(space.counts))
    return np.stack(places, axis=1).astype(np.int64)
