"""The teacher's feature maps before and after blocks: in memory, in mapped files, or made anew for each batch."""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.nests import call, length, moved
from evo_qnas.errors import FileError, NetworkError
from evo_qnas.files import reserve, write_text
from evo_qnas.networks.candidates.blocks import BlockShape, recording
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.noise import channel_rows, channel_variance, variance_floor

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
Maps = Float[torch.Tensor, "k ..."]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """Settings of how the teacher's features reach the candidates.

    Attributes:
        cache: `memory` and `disk` run the teacher once over the images, `none` once per batch.
        dtype: of cached features; they are used as float32.
        budget_bytes: where the features would take more than this, the teacher is run once per batch.
    """

    cache: Literal["memory", "disk", "none"] = "memory"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    budget_bytes: int = 4 * 2**30


class Features(ABC):
    """A block's inputs and outputs for a set of images.

    Attributes:
        variance: (c,) of the outputs over all images, see `channel_variance`.
        channel_axis: of the outputs, see `BlockShape.channel_axis`.
    """

    variance: Float[torch.Tensor, " c"]
    channel_axis: int = 1

    @abstractmethod
    def __len__(self) -> int:
        """Number of images."""

    @abstractmethod
    def take(self, chosen: torch.Tensor) -> tuple[Maps, Maps]:
        """Inputs and outputs of the chosen images, float32."""


@final
class StoredFeatures(Features):
    """Features that are there, in memory or in a mapped file."""

    def __init__(
        self, inputs: Maps, targets: Maps, variance: Float[torch.Tensor, " c"] | None = None, *, channel_axis: int = 1
    ) -> None:
        self.inputs, self.targets, self.channel_axis = inputs, targets, channel_axis
        self.variance = channel_variance(targets.float(), channel_axis) if variance is None else variance

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, chosen: torch.Tensor) -> tuple[Maps, Maps]:
        """Inputs and outputs of the chosen images, float32."""
        return self.inputs[chosen].float(), self.targets[chosen].float()


@final
class TeacherFeatures(Features):
    """Features made by running the teacher on each batch that is asked for."""

    def __init__(
        self,
        teacher: nn.Module,
        block: str,
        images: Examples,
        *,
        variance: Float[torch.Tensor, " c"],
        channel_axis: int = 1,
        device: str = "cpu",
    ) -> None:
        self.teacher, self.block, self.images = teacher.to(device).eval(), block, images
        self.variance, self.channel_axis, self.device = variance, channel_axis, device

    def __len__(self) -> int:
        return len(self.images)

    @torch.no_grad()
    def take(self, chosen: torch.Tensor) -> tuple[Maps, Maps]:
        """Inputs and outputs of the chosen images, float32."""
        inputs_of_network, _ = self.images.take(chosen)
        with recording(self.teacher, [self.block]) as recorded:
            call(self.teacher, moved(inputs_of_network, self.device))
            inputs, outputs = recorded[self.block]
            return inputs.detach().clone(), outputs.detach().clone()


def features_bytes(shapes: Sequence[BlockShape], images: int, dtype: str) -> int:
    """Size of the cached features of these blocks."""
    values = sum(math.prod(shape.inputs) + math.prod(shape.outputs) for shape in shapes)
    return images * values * DTYPES[dtype].itemsize


@torch.no_grad()
def cache_features(
    teacher: nn.Module,
    shapes: Sequence[BlockShape],
    images: Examples,
    settings: FeatureSettings,
    *,
    folder: Path | None = None,
    fingerprint: str = "",
    device: str = "cpu",
) -> dict[str, StoredFeatures]:
    """The features of all blocks by name, from one run of the teacher over the images.

    Args:
        teacher: run in evaluation mode.
        shapes: the blocks.
        images: what it runs on.
        settings: the dtype counts here.
        folder: where memory-mapped files go, `<block>.{inputs,targets,json}`; None for memory.
        fingerprint: goes into the files, for `open_features`.
        device: where the teacher runs.
    """
    storage = {shape.name: _reserved(shape, len(images), settings.dtype, folder) for shape in shapes}
    moments: dict[str, Any] = {}
    axes = {shape.name: shape.channel_axis for shape in shapes}
    for start, recorded in _runs(teacher, [shape.name for shape in shapes], images, device):
        for name, pair in recorded.items():
            for target, values in zip(storage[name], pair, strict=True):
                target[start : start + len(values)].copy_(values)
            moments[name] = moments.get(name, 0.0) + _moments(pair[1], axes[name])
    stored = {}
    for name, (inputs, targets) in storage.items():
        stored[name] = StoredFeatures(inputs, targets, _variance(moments[name]), channel_axis=axes[name])
        if folder is not None:
            content = {
                "fingerprint": fingerprint,
                "dtype": settings.dtype,
                "inputs": list(inputs.shape),
                "targets": list(targets.shape),
                "variance": stored[name].variance.tolist(),
                "channel_axis": axes[name],
            }
            write_text(folder / f"{name}.json", json.dumps(content))
    return stored


def open_features(folder: Path, block: str, fingerprint: str) -> StoredFeatures | None:
    """The memory-mapped features that `cache_features` left for a block; None where there are none, or damaged ones."""
    try:
        content = json.loads((folder / f"{block}.json").read_text(encoding="utf-8"))
        if content["fingerprint"] != fingerprint:
            return None
        dtype, variance, axis = content["dtype"], torch.tensor(content["variance"]), int(content["channel_axis"])
        shapes = {folder / f"{block}.{part}": tuple(map(int, content[part])) for part in _PARTS}
        # A file that is too short would be filled up with zeros.
        if any(path.stat().st_size != math.prod(size) * DTYPES[dtype].itemsize for path, size in shapes.items()):
            return None
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RuntimeError):
        return None
    inputs, targets = (_mapped(path, size, dtype) for path, size in shapes.items())
    return StoredFeatures(inputs, targets, variance, channel_axis=axis)


def output_variance(
    teacher: nn.Module, block: str, images: Examples, *, channel_axis: int = 1, device: str = "cpu"
) -> Float[torch.Tensor, " c"]:
    """(c,) `channel_variance` of a block's outputs over all images, without keeping them."""
    return output_variances(teacher, {block: channel_axis}, images, device=device)[block]


@torch.no_grad()
def output_variances(
    teacher: nn.Module, channel_axes: Mapping[str, int], images: Examples, *, device: str = "cpu"
) -> dict[str, Float[torch.Tensor, " c"]]:
    """`output_variance` of several blocks, by name with their channel axes, from one run of the teacher."""
    moments: dict[str, Any] = dict.fromkeys(channel_axes, 0.0)
    for _, records in _runs(teacher, list(channel_axes), images, device):
        for block, (_, outputs) in records.items():
            moments[block] = moments[block] + _moments(outputs, channel_axes[block])
    return {block: _variance(total) for block, total in moments.items()}


_PARTS = ("inputs", "targets")


def _reserved(shape: BlockShape, count: int, dtype: str, folder: Path | None) -> tuple[Maps, Maps]:
    """Tensors that the inputs and outputs of a block will fill."""
    sizes = ((count, *shape.inputs), (count, *shape.outputs))
    if folder is None:
        return torch.empty(sizes[0], dtype=DTYPES[dtype]), torch.empty(sizes[1], dtype=DTYPES[dtype])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{shape.name}.json").unlink(missing_ok=True)
    first, second = (
        _mapped(folder / f"{shape.name}.{part}", size, dtype) for part, size in zip(_PARTS, sizes, strict=True)
    )
    return first, second


def _mapped(path: Path, shape: Sequence[int], dtype: str) -> Maps:
    """A tensor in a file that is made or grown where it is too small."""
    try:
        reserve(path, math.prod(shape) * DTYPES[dtype].itemsize)
        flat = torch.from_file(str(path), shared=True, size=math.prod(shape), dtype=DTYPES[dtype])
    except (RuntimeError, FileError) as error:
        raise NetworkError(
            f"{path} cannot be mapped into memory, take distillation.features.cache = none: {error}"
        ) from error
    return flat.view(*shape)


def _runs(
    teacher: nn.Module, blocks: Sequence[str], images: Examples, device: str
) -> Iterator[tuple[int, Mapping[str, tuple[torch.Tensor, torch.Tensor]]]]:
    """Runs the teacher over all images; gives the first image's index, and inputs and outputs of each block."""
    teacher.to(device).eval()
    start = 0
    with recording(teacher, blocks) as recorded:
        for inputs, _ in images.parts(min(64, evaluation_batch(images.sample))):
            call(teacher, moved(inputs, device))
            yield start, recorded
            start += length(inputs)
    teacher.to("cpu")


def _moments(outputs: Maps, axis: int) -> torch.Tensor:
    """(3, c) count, sum and sum of squares of each channel, float64."""
    rows = channel_rows(outputs.detach(), axis).double()
    return torch.stack(
        [torch.full((len(rows),), rows.shape[1], device=rows.device), rows.sum(1), rows.square().sum(1)]
    ).cpu()


def _variance(moments: Any) -> Float[torch.Tensor, " c"]:
    count, total, squares = moments
    mean = total / count
    return variance_floor((squares / count - mean.square()).clamp_min(0.0).float())
