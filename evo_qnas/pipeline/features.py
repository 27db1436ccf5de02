"""The teacher's features of blocks: for learning, cached as the card says, and for scoring, recorded once for all."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float

from evo_qnas.data.nests import Nest, call, length, parts
from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.networks.candidates.blocks import BlockShape, recording
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.scoring.fisher import output_gradients
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.distill import block_features
from evo_qnas.networks.training.features import (
    Features,
    TeacherFeatures,
    cache_features,
    features_bytes,
    open_features,
    output_variance,
    output_variances,
)
from evo_qnas.pipeline.context import RunContext, digest, made_from, seed_of

_BATCH = 256  # images per run of the teacher; the same as in `block_features`, so that both give the same bits


def map_features(context: RunContext, blocks: Sequence[str]) -> None:
    """Mapped features, where the card wants them and they fit its budget: one run of the teacher for all blocks."""
    settings, train = context.card.distillation.features.values, context.splits.train
    shapes = [context.shape(name) for name in blocks]
    if settings.cache != "disk" or features_bytes(shapes, len(train), settings.dtype) > settings.budget_bytes:
        return
    folder, fingerprint = context.paths.features, context.fingerprints.teacher
    missing = [shape for shape in shapes if open_features(folder, shape.name, fingerprint) is None]
    if missing:
        prepare_process(context.card.threads)
        cache_features(
            context.teacher, missing, train, settings, folder=folder, fingerprint=fingerprint, device=context.device
        )


def features_of(context: RunContext, block: str) -> Features:
    """The teacher's features of a block over the train images."""
    settings, train, shape = context.card.distillation.features.values, context.splits.train, context.shape(block)
    mapped = open_features(context.paths.features, block, context.fingerprints.teacher)
    if settings.cache == "disk" and mapped is not None:
        return mapped
    if settings.cache == "memory" and features_bytes([shape], len(train), settings.dtype) <= settings.budget_bytes:
        return cache_features(context.teacher, [shape], train, settings, device=context.device)[block]
    axis = shape.channel_axis
    variance = output_variance(context.teacher, block, train, channel_axis=axis, device=context.device)
    return TeacherFeatures(context.teacher, block, train, variance=variance, channel_axis=axis, device=context.device)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringFeatures:
    """The teacher's features by which the choices of a block are scored; float32, on the CPU.

    Attributes:
        calibration: block inputs of the calibration images.
        inputs: block inputs of the search images.
        targets: block outputs of the search images.
        variance: of each channel of the outputs over the train images.
        gradients: at the block's output, of the first search images; None without `[fisher]`.
    """

    calibration: Float[torch.Tensor, "k ..."]
    inputs: Float[torch.Tensor, "s ..."]
    targets: Float[torch.Tensor, "s ..."]
    variance: Float[torch.Tensor, " c"]
    gradients: Float[torch.Tensor, "few draws ..."] | None = None


def record_scoring_features(context: RunContext, blocks: Sequence[str]) -> None:
    """`features/scoring/<block>.safetensors` of these blocks, from one run of the teacher over each set of images.

    Nothing is written where they would take more than `distillation.features.budget_gib`: `scoring_features` then runs
    the teacher for each block.
    """
    missing = [block for block in blocks if not made_from(_path(context, block), _fingerprint(context))]
    images = length(context.calibration) + len(context.splits.search)
    shapes = [context.shape(block) for block in missing]
    size = features_bytes(shapes, images, "float32") + _gradients_bytes(context, shapes)
    if not missing or size > context.card.distillation.features.values.budget_bytes:
        return
    prepare_process(context.card.threads)
    calibration = _record(context, missing, parts(context.calibration, _batch(context.calibration)))
    search = context.splits.search
    recorded = _record(context, missing, (inputs for inputs, _ in search.parts(_batch(search.sample))))
    axes = {block: context.shape(block).channel_axis for block in missing}
    variances = output_variances(context.teacher, axes, context.splits.train)
    gradients = _gradients(context, missing)
    for block in missing:
        tensors = {
            "calibration": calibration[block][0],
            "inputs": recorded[block][0],
            "targets": recorded[block][1],
            "variance": variances[block],
            **({"gradients": gradients[block]} if block in gradients else {}),
        }
        save_weights(tensors, _path(context, block), {"fingerprint": _fingerprint(context)})


def scoring_features(context: RunContext, block: str) -> ScoringFeatures:
    """The features that `record_scoring_features` left for a block, else from runs of the teacher for it alone."""
    if made_from(_path(context, block), _fingerprint(context)):
        return ScoringFeatures(**load_weights(_path(context, block))[0])
    inputs, targets = block_features(context.teacher, block, context.splits.search)
    return ScoringFeatures(
        calibration=block_features(context.teacher, block, context.calibration)[0],
        inputs=inputs,
        targets=targets,
        variance=output_variance(
            context.teacher, block, context.splits.train, channel_axis=context.shape(block).channel_axis
        ),
        gradients=_gradients(context, [block]).get(block),
    )


def _gradients(context: RunContext, blocks: Sequence[str]) -> dict[str, Float[torch.Tensor, "few draws ..."]]:
    """Gradients at the ends of these blocks, by name; none without `[fisher]`."""
    settings = context.card.fisher
    if settings is None:
        return {}
    seed = seed_of("gradients", context.card.seed)
    return output_gradients(
        context.teacher,
        blocks,
        context.splits.search,
        context.task,
        draws=settings.draws,
        seed=seed,
        most=settings.examples,
    )


def _gradients_bytes(context: RunContext, shapes: Sequence[BlockShape]) -> int:
    """Size of these gradients."""
    settings = context.card.fisher
    if settings is None:
        return 0
    examples = min(settings.examples, len(context.splits.search))
    return 4 * examples * settings.draws * sum(math.prod(shape.outputs) for shape in shapes)


def _batch(inputs: Nest) -> int:
    return min(_BATCH, evaluation_batch(inputs))


@torch.no_grad()
def _record(
    context: RunContext, blocks: Sequence[str], batches: Iterator[Nest] | Sequence[Nest]
) -> Mapping[str, tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and outputs of each block for all batches."""
    found: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {block: [] for block in blocks}
    teacher = context.teacher.eval()
    with recording(teacher, blocks) as records:
        for batch in batches:
            call(teacher, batch)
            for block, (inputs, outputs) in records.items():
                # A ReLU in place further on must not reach into what was recorded.
                found[block].append((inputs.detach().clone(), outputs.detach().clone()))
    return {
        block: (torch.cat([inputs for inputs, _ in pairs]), torch.cat([outputs for _, outputs in pairs]))
        for block, pairs in found.items()
    }


def _path(context: RunContext, block: str) -> Path:
    return context.paths.features / "scoring" / f"{block}.safetensors"


def _fingerprint(context: RunContext) -> str:
    images = context.card.quantization.calibration_images
    return digest("scoring features", context.fingerprints.teacher, images, context.fingerprints.gradients())
