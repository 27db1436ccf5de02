"""Candidates refined at few bits before they are scored; needs `[refinement]` in the card."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.training.refine import Refined, refine_operator
from evo_qnas.pipeline.feature_files import features_of
from evo_qnas.pipeline.workplace import Workplace, digest, made_from, seed_of


def refined_bits(place: Workplace) -> tuple[int, ...]:
    """The weight bits at which candidates are refined."""
    settings = place.card.refinement
    bits = place.card.quantization.weight_bits
    return () if settings is None else tuple(value for value in bits if value <= settings.most_weight_bits)


def refine_block(place: Workplace, block: str, calibration: torch.Tensor) -> None:
    """`blocks/<block>/refined/<operator>-w<bits>.safetensors` for all operators of a block, its own included.

    Args:
        place: the run.
        block: name.
        calibration: what goes into the block for the calibration images, the teacher's.
    """
    settings = place.card.refinement
    missing = {operator: bits for operator in _operators(place, block) if (bits := _missing(place, block, operator))}
    if settings is None or not missing:
        return
    features = features_of(place, block)
    for operator, bits in missing.items():
        refined = refine_operator(
            place.trained(block, operator),
            features,
            calibration,
            settings.settings(place.card.distillation.batch_size),
            weight_bits=bits,
            seed=seed_of("refinement", place.card.seed, block),
            device=place.device,
        )
        for width in bits:
            # An operator without layers has nothing to refine; a marker tensor keeps its file valid.
            tensors = refined.get(width) or {"none": torch.zeros(1)}
            metadata = {"fingerprint": _fingerprint(place, block, operator, width)}
            save_weights(tensors, _path(place, block, operator, width), metadata)


def refined_weights(place: Workplace, block: str, operator: str) -> dict[int, Refined]:
    """The refined weights of an operator by weight bits; those that are not there are scored as they are."""
    found = {bits: load_weights(_path(place, block, operator, bits))[0] for bits in refined_bits(place)}
    return {bits: tensors for bits, tensors in found.items() if "none" not in tensors}


def refined_choices(place: Workplace, choices: Sequence[Mapping[str, Any]]) -> dict[str, Refined]:
    """Per block the refined weights of its choice; blocks whose choice has none are left out."""
    few = refined_bits(place)
    found = {
        row["block"]: load_weights(_path(place, row["block"], row["operator"], row["weight_bits"]))[0]
        for row in choices
        if row["weight_bits"] in few
    }
    return {block: tensors for block, tensors in found.items() if "none" not in tensors}


def _operators(place: Workplace, block: str) -> list[str]:
    return [TEACHER, *place.candidates(block)]


def _missing(place: Workplace, block: str, operator: str) -> list[int]:
    """The weight bits at which an operator is not refined yet."""
    return [
        bits
        for bits in refined_bits(place)
        if not made_from(_path(place, block, operator, bits), _fingerprint(place, block, operator, bits))
    ]


def _path(place: Workplace, block: str, operator: str, bits: int) -> Path:
    return place.folder / "blocks" / block / "refined" / f"{operator}-w{bits}.safetensors"


def _fingerprint(place: Workplace, block: str, operator: str, bits: int) -> str:
    """What refined weights depend on."""
    card = place.card
    made = place.teacher_fingerprint if operator == TEACHER else place.candidate_fingerprint(block, operator)
    settings = None if card.refinement is None else card.refinement.model_dump(exclude={"most_weight_bits"})
    learning = (card.distillation.batch_size, card.distillation.features.dtype, card.quantization.calibration_images)
    return digest("refined", made, block, operator, bits, settings, learning)
