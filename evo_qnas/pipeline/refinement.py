"""Candidates refined at few bits before they are scored; needs `[refinement]` in the card."""

import logging
from collections.abc import Mapping, Sequence

import torch

from evo_qnas.errors import DivergenceError
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.training.refine import Refined, refine_operator
from evo_qnas.pipeline.context import RunContext, made_from, seed_of
from evo_qnas.pipeline.features import features_of
from evo_qnas.summary import BlockChoice

logger = logging.getLogger(__name__)


def refined_bits(context: RunContext) -> tuple[int, ...]:
    """The weight bits at which candidates are refined."""
    settings = context.card.refinement
    bits = context.card.quantization.weight_bits
    return () if settings is None else tuple(value for value in bits if value <= settings.most_weight_bits)


def refine_block(context: RunContext, block: str, calibration: torch.Tensor) -> None:
    """`blocks/<block>/refined/<operator>-w<bits>.safetensors` for all operators of a block, its own included.

    Args:
        context: the run.
        block: name.
        calibration: block inputs of the calibration images, the teacher's.

    An operator that does not learn at these bits is scored as it is, with a warning.
    """
    settings = context.card.refinement
    if settings is None:
        return
    operators = [TEACHER, *context.candidates.labels(block)]
    missing = {operator: bits for operator in operators if (bits := _missing(context, block, operator))}
    if not missing:
        return
    features = features_of(context, block)
    for operator, bits in missing.items():
        try:
            refined: Mapping[int, Refined] = refine_operator(
                context.candidates.trained(block, operator),
                features,
                calibration,
                settings.settings(context.card.distillation.batch_size),
                weight_bits=bits,
                seed=seed_of("refinement", context.card.seed, block),
                device=context.device,
                scheme=context.card.quantization.scheme,
                recipe=context.card.quantization.recipe,
            )
        except DivergenceError as error:
            logger.warning("operator %r of block %r is scored without refinement: %s", operator, block, error)
            refined = {}
        for width in bits:
            # An operator without layers has nothing to refine; a marker tensor keeps its file valid.
            tensors = refined.get(width) or {"none": torch.zeros(1)}
            metadata = {"fingerprint": context.fingerprints.refined(block, operator, width)}
            save_weights(tensors, context.paths.refined(block, operator, width), metadata)


def refined_weights(context: RunContext, block: str, operator: str) -> dict[int, Refined]:
    """The refined weights of an operator by weight bits; those that are not there are scored as they are."""
    paths = {bits: context.paths.refined(block, operator, bits) for bits in refined_bits(context)}
    loaded = {bits: load_weights(path)[0] for bits, path in paths.items()}
    return {bits: tensors for bits, tensors in loaded.items() if "none" not in tensors}


def refined_choices(context: RunContext, choices: Sequence[BlockChoice]) -> dict[str, Refined]:
    """Per block the refined weights of its choice; blocks whose choice has none are left out."""
    few = refined_bits(context)
    loaded = {
        row.block: load_weights(context.paths.refined(row.block, row.operator, row.weight_bits))[0]
        for row in choices
        if row.weight_bits in few
    }
    return {block: tensors for block, tensors in loaded.items() if "none" not in tensors}


def _missing(context: RunContext, block: str, operator: str) -> list[int]:
    """The weight bits at which an operator is not refined yet."""
    return [
        bits
        for bits in refined_bits(context)
        if not made_from(
            context.paths.refined(block, operator, bits), context.fingerprints.refined(block, operator, bits)
        )
    ]
