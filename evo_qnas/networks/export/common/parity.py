"""An exported network against torch, and against the integer reference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import fx, nn

from evo_qnas.data import Examples
from evo_qnas.networks.capture.graph import ATEN, arguments_of, last_upsampling
from evo_qnas.networks.capture.operations.upsampling import bilinear, scales_of
from evo_qnas.networks.capture.signature import (
    LOGITS,
    input_leaves,
    input_names,
    named_arguments,
    nested_output,
    output_names,
    results_of,
)
from evo_qnas.networks.export.common.walk import has_islands
from evo_qnas.networks.integer.reference import InIntegers, run_in_integers, upsampled
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import Task, evaluation_batch

# Random images for the integer reference, which works in numpy: fewer where images are large.
_REFERENCE_IMAGES, _REFERENCE_VALUES = 16, 2**19
# Most images at once: bounds the memory of logits in full size.
_BATCH = 64

# From an array, or arrays by name, to the same.
Run = Callable[[Any], Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """An exported file and the torch network on labelled images.

    Attributes:
        metric: of the file in its runtime.
        torch_metric: of the torch network in integers.
        max_abs_diff: largest difference between two logits.
        agreement: mean of the task's agreement over the images (over all pixels, for maps), 0..1.
    """

    metric: float
    torch_metric: float
    max_abs_diff: float
    agreement: float


@final
class InRuntime(nn.Module):
    """An exported file as a torch module: a metric of torch networks measured in the file's runtime.

    Low-resolution logits are up-sampled as the torch network does it, so that both are judged on the same pixels.
    """

    def __init__(self, logits_of: Run, network: QuantizedNetwork) -> None:
        super().__init__()
        self.logits_of, self.graph = logits_of, network.graph
        self.last = last_upsampling(network.graph)
        self.size = None if self.last is None else tuple(self.last.meta["val"].shape[2:])

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the torch network gives, in its nesting; logits at their size there."""
        given = self.logits_of(self._arrays({**named_arguments(self.graph, arguments), **keywords}))
        arrays = given if isinstance(given, Mapping) else {LOGITS: given}
        names = output_names(self.graph)
        leaves = [
            torch.from_numpy(np.asarray(arrays[name])) if name else result
            for name, result in zip(names, results_of(self.graph), strict=True)
        ]
        if self.last is not None and tuple(leaves[0].shape[2:]) != self.size:
            leaves = [upsampled(self.last, leaves[0])]
        return nested_output(self.graph, leaves)

    def _arrays(self, arguments: Mapping[str, Any]) -> Any:
        """Inputs as the runtime takes them: one array, or arrays by name."""
        nodes = [node for node in self.graph.graph.nodes if node.op == "placeholder"]
        leaves = dict(zip(nodes, input_leaves(self.graph, arguments), strict=True))
        arrays = {name: leaves[node].numpy(force=True) for node, name in input_names(self.graph).items()}
        return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def compare(network: QuantizedNetwork, logits_of: Run, images: Examples, *, task: Task) -> Parity:
    """Torch, in integers (`InIntegers`), and a file on the images.

    Args:
        network: that the file holds.
        logits_of: runs the file.
        images: labelled.
        task: gives metric and agreement.
    """
    reference, exported = InIntegers(network), InRuntime(logits_of, network)
    agreement, difference = agreement_of(reference, exported, images, task=task)
    return Parity(
        metric=task.metric(exported, images),
        torch_metric=task.metric(reference, images),
        max_abs_diff=difference,
        agreement=agreement,
    )


def float_agreement(network: QuantizedNetwork, logits_of: Run, images: Examples, *, task: Task) -> float:
    """Agreement with the network that training sees, which rounds sums of floats.

    There one rounding in a million falls the other way, and twenty layers later that is seen everywhere.
    """
    return agreement_of(network, InRuntime(logits_of, network), images, task=task)[0]


def other_session(network: QuantizedNetwork, logits_of: Run, images: Examples, *, task: Task) -> dict[str, float]:
    """`metric` and `agreement` of a file with other kernels than those of its entry."""
    reference, exported = InIntegers(network), InRuntime(logits_of, network)
    return {
        "metric": task.metric(exported, images),
        "agreement": agreement_of(reference, exported, images, task=task)[0],
    }


def same_logits(first: Run, second: Run, images: Examples) -> bool:
    """True where two ways to run a file give the same logits bit for bit on the images."""
    parts = images.parts(min(_BATCH, evaluation_batch(images.sample)))
    inputs = (pixels.numpy(force=True) for pixels, _ in parts)
    return all(np.array_equal(first(batch), second(batch)) for batch in inputs)


@torch.no_grad()
def agreement_of(one: nn.Module, other: nn.Module, images: Examples, *, task: Task) -> tuple[float, float]:
    """Mean of a task's agreement of two networks, over all positions, and the largest difference of logits.

    Example:
        >>> from evo_qnas.networks.tasks.classification import Classification
        >>> from evo_qnas.data import Images
        >>> images = Images(pixels=torch.tensor([[[[1.0]], [[2.0]]], [[[4.0]], [[3.0]]]]), labels=torch.tensor([0, 1]))
        >>> other = nn.Sequential(nn.Flatten(), nn.Threshold(3.5, 0.0))
        >>> agreement_of(nn.Flatten(), other, images, task=Classification())
        (0.5, 3.0)
    """
    same, count, difference = 0.0, 0, 0.0
    for pixels, _ in images.parts(min(_BATCH, evaluation_batch(images.sample))):
        first, second = one(pixels), other(pixels)
        equal = task.agreement(first, second)
        same, count = same + float(equal.double().sum()), count + equal.numel()
        difference = max(difference, float((first - second).abs().max()))
    return same / count, difference


def equals_reference(
    network: QuantizedNetwork, logits_of: Run, images: Examples, rng: np.random.Generator
) -> bool | None:
    """True where a file gives bit for bit the integer reference's logits on random inputs in the images' range.

    None where the network computes in floats, whose last bits are each runtime's own.
    """
    noise = _noise(images, rng)
    if has_islands(network, noise[:1]):
        return None
    exported = logits_of(noise.numpy())
    reference = run_in_integers(network, noise).numpy()
    last = last_upsampling(network.graph)
    if last is not None and exported.shape != reference.shape:
        reference = _upsampled(reference, last)
    return bool(np.array_equal(reference, exported))


def sample_inputs(images: Examples, rng: np.random.Generator) -> torch.Tensor:
    """Some of the images, and as many random inputs in their range."""
    noise = _noise(images, rng)
    return torch.cat([images.take(slice(0, len(noise)))[0], noise])


def _noise(images: Examples, rng: np.random.Generator) -> Num[torch.Tensor, "n ..."]:
    pixels = images.take(slice(0, _REFERENCE_IMAGES))[0]
    count = min(_REFERENCE_IMAGES, max(2, _REFERENCE_VALUES // pixels[0].numel()))
    shape = (count, *pixels.shape[1:])
    if not pixels.is_floating_point():  # numbers of words
        words = rng.integers(int(pixels.min()), int(pixels.max()), shape, endpoint=True)
        return torch.from_numpy(words).to(pixels.dtype)
    noise = rng.uniform(float(pixels.min()), float(pixels.max()), shape)
    return torch.from_numpy(noise.astype(np.float32))


def _upsampled(logits: Float[np.ndarray, "n classes h w"], last: fx.Node) -> Float[np.ndarray, "n classes *map"]:
    """Low-resolution logits as the runtime up-samples them where the file has the up-sampling inside."""
    height, width = last.meta["val"].shape[2:]
    if last.target is ATEN.upsample_bilinear2d.vec:
        return bilinear(logits, (int(height), int(width)), corners=bool(arguments_of(last)[2]), scales=scales_of(last))
    nearest: Any = nn.functional.interpolate(torch.from_numpy(logits), size=(height, width)).numpy()
    return np.asarray(nearest)
