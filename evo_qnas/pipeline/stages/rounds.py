"""Further rounds: a predictor is fitted to measured networks, proposes others, and learns from what they are worth.

`[search] rounds = k` in a card. The first round is the search on the sum of scores with its picks. Each further one
fits the predictor of `[predictor]` to what was measured on the search images, proposes a batch by expected hypervolume
improvement over the measured networks, and measures it.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import ProblemError
from evo_qnas.networks.tasks.base import Task, metric_value
from evo_qnas.pareto import hypervolume
from evo_qnas.pipeline.cards.search import PredictorCard
from evo_qnas.pipeline.context import RunContext, digest, seed_of
from evo_qnas.pipeline.problems import problem_of
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.stages.fisher import COLUMN as BY_GRADIENTS
from evo_qnas.pipeline.stages.in_context import COLUMN
from evo_qnas.pipeline.validation import choices_of, measure_before, validate_picks
from evo_qnas.predict import Choice, Features, choose
from evo_qnas.predict.fitting import SIMPLEST_FIRST
from evo_qnas.problem import CustomObjective, Networks, TableProblem
from evo_qnas.search import propose
from evo_qnas.spaces import network_id
from evo_qnas.summary import Prediction, ValidatedNetwork
from evo_qnas.tables import Tables

logger = logging.getLogger(__name__)

_SCORES = (BY_GRADIENTS, "score", COLUMN)
_SAMPLE = 256


def _unknown(networks: Networks) -> Float[np.ndarray, " n"]:
    """Stands for what only measuring tells; never called."""
    return np.full(len(networks), np.nan)


def error_of(task: Task, metric: float) -> float:
    """A metric as an error to minimise: 1 - metric for shares to maximise, else the metric, negative to maximise."""
    if not task.maximize:
        return metric
    return 1.0 - metric if metric_value(task).is_share else -metric


def metric_of_error(task: Task, error: float) -> float:
    """The metric of an error by `error_of`."""
    return error_of(task, error)  # its own inverse


@final
@dataclass(kw_only=True)
class Measured:
    """Measurements so far.

    Attributes:
        task: of the metric.
        errors: `error_of` the metric on the search images, by genome.
    """

    task: Task
    errors: dict[tuple[int, ...], float] = field(default_factory=dict)

    def add(self, genomes: Sequence[Sequence[int]], metrics: Sequence[float]) -> None:
        """Takes measured networks in."""
        for genome, metric in zip(genomes, metrics, strict=True):
            self.errors[tuple(int(value) for value in genome)] = error_of(self.task, float(metric))

    @property
    def genomes(self) -> Int[np.ndarray, "n blocks"]:
        """(n, blocks) int64, in the order of measuring."""
        return np.array(list(self.errors), dtype=np.int64)

    @property
    def values(self) -> Float[np.ndarray, " n"]:
        """(n,) errors."""
        return np.array(list(self.errors.values()))

    @property
    def range(self) -> tuple[float, float]:
        """Error at which a hypervolume's scale starts, and its reference: 0 and 1 for shares, else those measured."""
        if self.task.maximize and metric_value(self.task).is_share:
            return 0.0, 1.0
        return float(self.values.min()), float(self.values.max())

    def copy(self) -> "Measured":
        """The same, unchanged by later additions."""
        return replace(self, errors=dict(self.errors))


@final
class RoundsStage(Stage):
    """Further networks, proposed by a predictor; its files are those of the networks stage."""

    name = "rounds"
    about = "further networks, proposed by a predictor; with search.rounds"
    part_of = "networks"

    def asked_for(self, context: RunContext) -> bool:
        """True with `search.rounds` above 1."""
        return (context.card.search.rounds or 1) > 1

    def fingerprint(self, context: RunContext) -> str:
        """That of tables, search and predictor."""
        card = context.card
        sections = (card.search, card.predictor, card.validation, card.finetuning)
        settings = [None if section is None else section.model_dump(mode="json") for section in sections]
        return digest("rounds", context.fingerprints.tables, settings, card.seed)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the networks of all rounds."""
        tables = required(state.tables, "tables")
        networks, rounds = further_rounds(context, tables, state.networks, jobs=resources.jobs)
        return state.having(networks=networks, rounds=rounds)


def further_rounds(
    context: RunContext, tables: Tables, networks: Sequence[ValidatedNetwork], *, jobs: int
) -> tuple[tuple[ValidatedNetwork, ...], tuple[dict[str, Any], ...]]:
    """The validated networks of all rounds, and what each further round did; the first round's as they are.

    With `measure = "finetuned"` every round's batch is fine-tuned and validated like the picks, and the predictor
    learns from the metric after fine-tuning. With `"calibrated"` rounds measure networks as assembled, which costs
    seconds, and the last round's proposals alone are fine-tuned.
    """
    rounds = context.card.search.rounds or 1
    if rounds < 2:
        return tuple(networks), ()
    settings = context.card.predictor or PredictorCard()
    problem = _problem(context, tables)
    measured = _first(context, problem, networks, settings, jobs)
    validated, log = list(networks), []
    for number in range(2, rounds + 1):
        rng = np.random.default_rng([seed_of("rounds", context.card.seed) % 2**31, number])
        chosen = _predictor(problem, tables, measured, settings, number)
        genomes = _proposals(problem, chosen, measured, settings.batch, rng)
        before = measured.copy()
        batch: list[ValidatedNetwork] = []
        if settings.measure == "finetuned" or number == rounds:
            batch = _validated(context, problem, genomes, chosen, number=number, jobs=jobs)
            validated += batch
        if settings.measure == "finetuned":
            measured.add(genomes.tolist(), [network.metric_search_split for network in batch])
        else:
            items = [choices_of(tables, genome) for genome in genomes.tolist()]
            measured.add(genomes.tolist(), measure_before(context, items, jobs=jobs))
        volumes = [_hypervolume(problem, some, measured.range) for some in (before, measured)]
        log.append(_entry(number, chosen, len(genomes), *volumes))
    return tuple(validated), tuple(log)


def _validated(
    context: RunContext,
    problem: TableProblem,
    genomes: Int[np.ndarray, "batch blocks"],
    chosen: Choice,
    *,
    number: int,
    jobs: int,
) -> list[ValidatedNetwork]:
    """The proposals of a round, validated, with the predictor's values."""
    picks = {network_id(genome.tolist()): tuple(genome.tolist()) for genome in genomes}
    networks = validate_picks(context, problem.tables, picks, jobs=jobs)
    errors, spreads = chosen.predictor.predict(problem.space.encode(genomes))
    return [
        network.having(
            round=number,
            searches=(f"round {number}",),
            foretold=Prediction(metric=metric_of_error(context.task, float(error)), spread=float(spread)),
        )
        for network, error, spread in zip(networks, errors, spreads, strict=True)
    ]


def _problem(context: RunContext, tables: Tables) -> TableProblem:
    """The card's search with the measured error in place of the scores."""
    kept = [text for text in context.card.search.objectives if text.removeprefix("sum:") not in _SCORES]
    search = context.card.search.model_copy(update={"objectives": kept or ["size_bytes"]})
    return problem_of(context, tables, search, first=[CustomObjective(function=_unknown, name="error")])


def _first(
    context: RunContext,
    problem: TableProblem,
    networks: Sequence[ValidatedNetwork],
    settings: PredictorCard,
    jobs: int,
) -> Measured:
    """Measurements of the first round, as far as ties and pins allow it; and random ones where calibrated."""
    measured = Measured(task=context.task)
    inside = [network for network in networks if _allowed(problem, network.genome)]
    if settings.measure == "finetuned":
        measured.add([network.genome for network in inside], [network.metric_search_split for network in inside])
        return measured
    rng = np.random.default_rng(seed_of("rounds, random networks", context.card.seed))
    count = max(context.card.validation.random_networks, 2 * settings.batch)
    genomes = [list(network.genome) for network in inside] + problem.space.sample(rng, count).tolist()
    unique = list(dict.fromkeys(tuple(genome) for genome in genomes))
    items = [choices_of(problem.tables, genome) for genome in unique]
    measured.add(unique, measure_before(context, items, jobs=jobs))
    return measured


def _allowed(problem: TableProblem, genome: Sequence[int]) -> bool:
    """True where ties, pins and forbidden choices leave a network in."""
    try:
        problem.space.encode(np.array([genome], dtype=np.int64))
    except ProblemError:
        return False
    return True


def _predictor(
    problem: TableProblem, tables: Tables, measured: Measured, settings: PredictorCard, number: int
) -> Choice:
    """The predictor of the card, fitted to what was measured, with its cross-validated tau."""
    scores = [name for name in reversed(_SCORES) if name in tables.columns]
    if settings.score is not None:
        scores = [settings.score]
    features = Features.of(problem.space, tables, names=[*scores, "size_bytes", "bit_operations"])
    kinds = SIMPLEST_FIRST if settings.kind == "auto" else (settings.kind,)
    genes = problem.space.encode(measured.genomes)
    chosen = choose(features, genes, measured.values, kinds=kinds)
    logger.info("round %d: predictor %s, cross-validated Kendall tau %s", number, chosen.kind, chosen.tau)
    return chosen


def _proposals(
    problem: TableProblem, chosen: Choice, measured: Measured, batch: int, rng: np.random.Generator
) -> Int[np.ndarray, "batch blocks"]:
    """Networks to measure next."""
    models = (chosen.predictor, *[None] * (len(problem.objectives) - 1))
    return propose(problem, models, measured.genomes, _objectives(problem, measured), batch, rng=rng)


def _objectives(problem: TableProblem, measured: Measured) -> Float[np.ndarray, "n m"]:
    """Objectives of what was measured."""
    values = problem.known(measured.genomes)[0]
    values[:, 0] = measured.values
    return values


def _hypervolume(problem: TableProblem, measured: Measured, errors: tuple[float, float]) -> float:
    """Of what was measured, all scaled to 1: the other objectives below the largest of some random networks.

    Args:
        problem: with the error as first objective.
        measured: that the volume is of.
        errors: start and reference of the errors, see `Measured.range`.
    """
    values = _objectives(problem, measured)
    some = problem.known(problem.space.sample(np.random.default_rng(0), _SAMPLE))[0]
    some[:, 0] = errors[1]
    low, high = np.minimum(some.min(axis=0), 0.0), some.max(axis=0)
    low[0] = errors[0]
    return hypervolume((values - low) / np.maximum(high - low, 1e-12), np.ones(values.shape[1]))


def _entry(number: int, chosen: Choice, batch: int, before: float, after: float) -> dict[str, Any]:
    """A round in `summary.json`."""
    return {
        "round": number,
        "predictor": chosen.kind,
        "measured_before": chosen.tau.networks,
        "proposed": batch,
        "kendall_tau": {
            each.kind: [_number(each.tau.tau), _number(each.tau.low), _number(each.tau.high)]
            for each in chosen.assessments
        },
        "warning": chosen.warning or None,
        "hypervolume_before": before,
        "hypervolume_after": after,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
