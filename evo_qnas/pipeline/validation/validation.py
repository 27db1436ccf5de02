"""Networks fine-tuned under one budget and validated on images that nothing else has touched."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from evo_qnas.errors import DivergenceError
from evo_qnas.files import write_text
from evo_qnas.networks.bundle import write_bundle
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.tasks.base import Outcomes
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.pipeline.context import RunContext, made_from, read_json, seed_of, to_json
from evo_qnas.pipeline.context.paths import OUTCOMES
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.validation.building import build_network, choices_of
from evo_qnas.summary import BlockChoice, ValidatedNetwork
from evo_qnas.tables import Tables

logger = logging.getLogger(__name__)

Item = tuple[str, tuple[int, ...], tuple[BlockChoice, ...]]


def finetuning_settings(context: RunContext) -> dict[str, Any]:
    """Keyword arguments of `finetune` from the card."""
    settings = context.card.finetuning.settings(borrowed=context.borrowed)
    values: dict[str, Any] = {"settings": settings, "task": context.task}
    if settings.keep == "best":
        values["watched"] = context.splits.search
    return {**values, "weights": context.task.target_weights(context.splits, settings.class_balance)}


@final
@dataclass(frozen=True)
class Validation:
    """Builds, fine-tunes and validates one network; leaves `networks/<id>/`. Sent to worker processes."""

    context: RunContext

    def fingerprint(self, identity: str, choices: Sequence[BlockChoice]) -> str:
        """A digest of all that a validated network depends on."""
        return self.context.fingerprints.network(identity, [choice.to_dict() for choice in choices])

    def __call__(self, item: Item) -> ValidatedNetwork:
        """The network, from its folder where that was made from the same."""
        identity, genome, choices = item
        context = self.context
        folder = context.paths.network(identity)
        fingerprint = self.fingerprint(identity, choices)
        known = _measured(folder, fingerprint)
        if known is not None and known.genome == genome:
            return known
        quantized = build_network(context, choices)
        test = context.splits.test
        before = context.task.metric(quantized, test)
        warning = None
        try:
            finetune(
                quantized,
                context.teacher,
                context.splits.train,
                **finetuning_settings(context),
                seed=seed_of("finetuning", context.card.seed),
                device=context.device,
            )
        except DivergenceError as error:
            warning = f"it is measured without fine-tuning: {error}"
            logger.warning("network %s: %s", identity, warning)
            quantized = build_network(context, choices)
        deployed = InIntegers(quantized)
        counts = context.task.outcomes(deployed, test)
        network = ValidatedNetwork(
            id=identity,
            genome=genome,
            blocks=choices,
            metric_before_finetune=before,
            metric=context.task.metric_of(counts),
            metric_stderr=context.task.stderr(counts, seed=context.card.seed),
            metric_search_split=context.task.metric(deployed, context.splits.search),
            warning=warning,
            size_bytes=costs_of(quantized, 8).size_bytes,
        )
        save_weights(quantized.stored(), folder / "weights.safetensors", {"fingerprint": fingerprint})
        write_bundle(quantized, folder, fingerprint=fingerprint, facts=context.facts)
        save_weights({"outcomes": counts}, folder / OUTCOMES, {"fingerprint": fingerprint})
        write_text(folder / "network.json", to_json({"fingerprint": fingerprint, **network.measured()}))
        return network


def _measured(folder: Path, fingerprint: str) -> ValidatedNetwork | None:
    """The network of a folder, None where it is not there, made from something else, or damaged."""
    content = read_json(folder / "network.json", fingerprint)
    if content is None or not made_from(folder / "weights.safetensors", fingerprint):
        return None
    try:
        return ValidatedNetwork.from_measured(content)
    except (ValueError, KeyError):
        return None


def validate_picks(
    context: RunContext, tables: Tables, picks: Mapping[str, Sequence[int]], *, jobs: int
) -> list[ValidatedNetwork]:
    """The picks, by id, fine-tuned under one budget and validated on the test images."""
    items: list[Item] = [
        (identity, tuple(int(value) for value in genome), choices_of(tables, genome))
        for identity, genome in picks.items()
    ]
    networks = in_jobs(
        Validation(context), items, context=context, jobs=jobs, label="networks fine-tuned", names=list(picks)
    )
    return [network.having(predicted=_predicted(tables, network.genome)) for network in networks]


def _predicted(tables: Tables, genome: Sequence[int]) -> dict[str, float]:
    """A network's total in every column."""
    row = np.array([genome])
    return {name: float(tables.total(name, row)[0]) for name in tables.columns}


def stored_outcomes(context: RunContext, networks: Sequence[ValidatedNetwork]) -> dict[str, Outcomes]:
    """Outcomes on the test images by id, of those validated networks whose file is there and of this metric."""
    stored = {}
    for network in networks:
        path = context.paths.network(network.id) / OUTCOMES
        if path.is_file():
            counts = load_weights(path)[0]["outcomes"]
            if context.task.metric_of(counts) == network.metric:
                stored[network.id] = counts
    return stored
