"""Candidates refined at few bits before they are scored; needs `[refinement]` in the card."""

from collections.abc import Sequence

import torch

from evo_qnas.errors import DivergenceError
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.training.refine import Refined, refine_operator
from evo_qnas.pipeline.context import RunContext, made_from, seed_of
from evo_qnas.pipeline.features import features_of
from evo_qnas.summary import BlockChoice


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

    Raises:
        DivergenceError: an operator does not learn; the others are there.
    """
    settings = context.card.refinement
    if settings is None:
        return
    operators = [TEACHER, *context.candidates.labels(block)]
    missing = {operator: bits for operator in operators if (bits := _missing(context, block, operator))}
    if not missing:
        return
    features = features_of(context, block)
    diverged: list[DivergenceError] = []
    for operator, bits in missing.items():
        try:
            refined = refine_operator(
                context.candidates.trained(block, operator),
                features,
                calibration,
                settings.settings(context.card.distillation.batch_size),
                weight_bits=bits,
                seed=seed_of("refinement", context.card.seed, block),
                device=context.device,
                scheme=context.card.quantization.scheme,
            )
        except DivergenceError as error:
            diverged.append(DivergenceError(f"block {block!r}, operator {operator!r}: {error}"))
            continue
        for width in bits:
            # An operator without layers has nothing to refine; a marker tensor keeps its file valid.
            tensors = refined.get(width) or {"none": torch.zeros(1)}
            metadata = {"fingerprint": context.fingerprints.refined(block, operator, width)}
            save_weights(tensors, context.paths.refined(block, operator, width), metadata)
    if diverged:
        raise diverged[0]


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
