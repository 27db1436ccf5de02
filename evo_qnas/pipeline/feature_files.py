"""The teacher's features that a block's candidates learn from, cached as the card says."""

from collections.abc import Sequence

from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.networks.training.features import (
    Features,
    TeacherFeatures,
    cache_features,
    features_bytes,
    open_features,
    output_variance,
)
from evo_qnas.pipeline.workplace import Workplace


def map_features(place: Workplace, blocks: Sequence[str]) -> None:
    """Where the card wants mapped features and they fit its budget: one run of the teacher for all blocks."""
    settings, train = place.card.distillation.features.values, place.splits.train
    shapes = [place.shape(name) for name in blocks]
    if settings.cache != "disk" or features_bytes(shapes, len(train), settings.dtype) > settings.budget_bytes:
        return
    folder, fingerprint = place.folder / "features", place.teacher_fingerprint
    left = [shape for shape in shapes if open_features(folder, shape.name, fingerprint) is None]
    if left:
        prepare_process(place.card.threads)
        cache_features(
            place.teacher, left, train, settings, folder=folder, fingerprint=fingerprint, device=place.device
        )


def features_of(place: Workplace, block: str) -> Features:
    """The teacher's features of a block over the train images."""
    settings, train, shape = place.card.distillation.features.values, place.splits.train, place.shape(block)
    found = open_features(place.folder / "features", block, place.teacher_fingerprint)
    if settings.cache == "disk" and found is not None:
        return found
    if settings.cache == "memory" and features_bytes([shape], len(train), settings.dtype) <= settings.budget_bytes:
        return cache_features(place.teacher, [shape], train, settings, device=place.device)[block]
    axis = shape.channel_axis
    variance = output_variance(place.teacher, block, train, channel_axis=axis, device=place.device)
    return TeacherFeatures(place.teacher, block, train, variance=variance, channel_axis=axis, device=place.device)
