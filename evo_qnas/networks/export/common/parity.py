"""An exported network against torch, and against the integer reference."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import fx, nn

from evo_qnas.data import Examples
from evo_qnas.data.nests import call, joined, leaves, length, mapped, rows
from evo_qnas.networks.capture.exporting import Example
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
        found = self.results({**named_arguments(self.graph, arguments), **keywords})
        if self.last is not None and tuple(found[0].shape[2:]) != self.size:
            found = [upsampled(self.last, found[0])]
        return nested_output(self.graph, found)

    def results(self, example: Example) -> list[Any]:
        """What the file gives, at the size in the file, in the order of the network's results."""
        given = self.logits_of(arrays_of(self.graph, example))
        arrays = given if isinstance(given, Mapping) else {LOGITS: given}
        return [
            torch.from_numpy(np.asarray(arrays[name])) if name else result
            for name, result in zip(output_names(self.graph), results_of(self.graph), strict=True)
        ]


def arrays_of(graph: fx.GraphModule, example: Example) -> Any:
    """Inputs as a runtime takes them: one array, or arrays by the names of `input_names`."""
    nodes = [node for node in graph.graph.nodes if node.op == "placeholder"]
    given = dict(zip(nodes, input_leaves(graph, example), strict=True))
    arrays = {name: given[node].numpy(force=True) for node, name in input_names(graph).items()}
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


def same_logits(network: QuantizedNetwork, first: Run, second: Run, images: Examples) -> bool:
    """True where two ways to run a network's file give the same outputs bit for bit on the images."""
    one, other = InRuntime(first, network), InRuntime(second, network)
    parts = images.parts(min(_BATCH, evaluation_batch(images.sample)))
    return all(_equal(leaves(call(one, inputs)), leaves(call(other, inputs))) for inputs, _ in parts)


def _equal(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    return all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


@torch.no_grad()
def agreement_of(one: nn.Module, other: nn.Module, images: Examples, *, task: Task) -> tuple[float, float]:
    """Mean of a task's agreement of two networks, over all positions, and the largest difference of outputs.

    Example:
        >>> from evo_qnas.networks.tasks.classification import Classification
        >>> from evo_qnas.data import Images
        >>> images = Images(pixels=torch.tensor([[[[1.0]], [[2.0]]], [[[4.0]], [[3.0]]]]), labels=torch.tensor([0, 1]))
        >>> other = nn.Sequential(nn.Flatten(), nn.Threshold(3.5, 0.0))
        >>> agreement_of(nn.Flatten(), other, images, task=Classification())
        (0.5, 3.0)
    """
    same, count, difference = 0.0, 0, 0.0
    for inputs, _ in images.parts(min(_BATCH, evaluation_batch(images.sample))):
        first, second = call(one, inputs), call(other, inputs)
        equal = task.agreement(first, second)
        same, count = same + float(equal.double().sum()), count + equal.numel()
        for left, right in zip(leaves(first), leaves(second), strict=True):
            difference = max(difference, float((left.double() - right.double()).abs().max()))
    return same / count, difference


def equals_reference(
    network: QuantizedNetwork, logits_of: Run, images: Examples, rng: np.random.Generator
) -> bool | None:
    """True where a file gives bit for bit the integer reference's outputs on random inputs in the images' range.

    None where the network computes in floats, whose last bits are each runtime's own.
    """
    noise = _noise(images, rng)
    if has_islands(network, rows(noise, slice(0, 1))):
        return None
    exported = leaves(InRuntime(logits_of, network).results(noise))
    reference = leaves(run_in_integers(network, noise))
    last = last_upsampling(network.graph)
    if last is not None and exported[0].shape != reference[0].shape:
        reference = [torch.from_numpy(_upsampled(reference[0].numpy(), last))]
    return _equal(exported, reference)


def sample_inputs(images: Examples, rng: np.random.Generator) -> Any:
    """Some of the images, and as many random inputs in their range."""
    noise = _noise(images, rng)
    return joined([images.take(slice(0, length(noise)))[0], noise])


def _noise(images: Examples, rng: np.random.Generator) -> Any:
    inputs = images.take(slice(0, _REFERENCE_IMAGES))[0]
    values = sum(leaf[0].numel() for leaf in leaves(inputs))
    count = min(_REFERENCE_IMAGES, max(2, _REFERENCE_VALUES // values))
    return mapped(lambda leaf: _drawn(leaf, count, rng), inputs)


def _drawn(like: Num[torch.Tensor, "n *sizes"], count: int, rng: np.random.Generator) -> Num[torch.Tensor, "m *sizes"]:
    """Random examples in the range of some."""
    shape = (count, *like.shape[1:])
    if not like.is_floating_point():  # numbers of words
        words = rng.integers(int(like.min()), int(like.max()), shape, endpoint=True)
        return torch.from_numpy(words).to(like.dtype)
    noise = rng.uniform(float(like.min()), float(like.max()), shape)
    return torch.from_numpy(noise.astype(np.float32))


def _upsampled(logits: Float[np.ndarray, "n classes h w"], last: fx.Node) -> Float[np.ndarray, "n classes *map"]:
    """Low-resolution logits as the runtime up-samples them where the file has the up-sampling inside."""
    height, width = last.meta["val"].shape[2:]
    if last.target is ATEN.upsample_bilinear2d.vec:
        return bilinear(logits, (int(height), int(width)), corners=bool(arguments_of(last)[2]), scales=scales_of(last))
    nearest: Any = nn.functional.interpolate(torch.from_numpy(logits), size=(height, width)).numpy()
    return np.asarray(nearest)
