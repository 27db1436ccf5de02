"""An exported network against torch, and against the integer reference."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ATEN, arguments_of, last_upsampling
from evo_qnas.networks.capture.operations.upsampling import bilinear
from evo_qnas.networks.export.onnx.runtime import open_session, run
from evo_qnas.networks.integer.reference import in_integers, run_in_integers, upsampled
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.tasks.base import evaluation_batch

_REFERENCE_IMAGES, _REFERENCE_VALUES = 16, 2**19
_BATCH = 64

Metric = Callable[[nn.Module, Images], float]
Run = Callable[[Float[np.ndarray, "n ..."]], Float[np.ndarray, "n ..."]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How an ONNX file and the torch network compare on labelled images.

    Attributes:
        metric: of the file in ONNX Runtime.
        torch_metric: of the torch network.
        max_abs_diff: largest difference between two logits.
        argmax_agreement: share of the images (of all pixels, for maps) on which the largest logit is the same, 0..1.
        float_agreement: the same with the network that training sees, which rounds sums of floats; there one rounding
            in a million falls the other way, and twenty layers later that is seen everywhere.
    """

    metric: float
    torch_metric: float
    max_abs_diff: float
    argmax_agreement: float
    float_agreement: float | None = None


@final
class InRuntime(nn.Module):
    """An exported file as a torch module: what a metric of torch networks measures, measured in the file's runtime.

    Low-resolution logits are up-sampled as the torch network does it, so that both are judged on the same pixels.
    """

    def __init__(self, logits_of: Run, network: QuantizedNetwork) -> None:
        super().__init__()
        self.logits_of = logits_of
        self.last = last_upsampling(network.graph)
        self.size = None if self.last is None else tuple(self.last.meta["val"].shape[2:])

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> torch.Tensor:
        """Logits, at the size of the torch network's."""
        logits = torch.from_numpy(self.logits_of(x.numpy(force=True)))
        return logits if tuple(logits.shape[2:]) == self.size else upsampled(self.last, logits)


def compare(network: QuantizedNetwork, path: Path, images: Images, *, metric: Metric, exact: bool = True) -> Parity:
    """Runs both on the images, torch in integers where it can (`in_integers`); `exact` as in `open_session`."""
    mine = in_integers(network, images.take(slice(0, 1))[0])
    theirs = InRuntime(partial(run, open_session(path, exact=exact)), network)
    agreement, difference = agreement_of(mine, theirs, images)
    return Parity(
        metric=metric(theirs, images),
        torch_metric=metric(mine, images),
        max_abs_diff=difference,
        argmax_agreement=agreement,
        float_agreement=agreement_of(network, theirs, images)[0],
    )


def same_in_both(path: Path, images: Images) -> bool:
    """Whether a session of the defaults gives bit for bit what an exact one gives on the images."""
    exact, plain = open_session(path), open_session(path, exact=False)
    parts = images.parts(min(_BATCH, evaluation_batch(images.pixels)))
    inputs = (pixels.numpy(force=True) for pixels, _ in parts)
    return all(np.array_equal(run(exact, batch), run(plain, batch)) for batch in inputs)


@torch.no_grad()
def agreement_of(one: nn.Module, other: nn.Module, images: Images) -> tuple[float, float]:
    """Share of places where the largest logits of two networks are the same, and the largest difference of logits.

    Example:
        >>> images = Images(pixels=torch.tensor([[[[1.0]], [[2.0]]], [[[4.0]], [[3.0]]]]), labels=torch.tensor([0, 1]))
        >>> agreement_of(nn.Flatten(), nn.Sequential(nn.Flatten(), nn.Threshold(3.5, 0.0)), images)
        (0.5, 3.0)
    """
    same = count = 0
    difference = 0.0
    for pixels, _ in images.parts(min(_BATCH, evaluation_batch(images.pixels))):
        mine, theirs = one(pixels), other(pixels)
        equal = mine.argmax(dim=1) == theirs.argmax(dim=1)
        same, count = same + int(equal.sum()), count + equal.numel()
        difference = max(difference, float((mine - theirs).abs().max()))
    return same / count, difference


def equals_reference(network: QuantizedNetwork, path: Path, images: Images, rng: np.random.Generator) -> bool | None:
    """Whether the file gives bit for bit what the integer reference gives on random inputs in the images' range.

    None where the network has an operation without integer kernel.
    """
    pixels = images.take(slice(0, _REFERENCE_IMAGES))[0]
    count = min(_REFERENCE_IMAGES, max(2, _REFERENCE_VALUES // pixels[0].numel()))
    noise = rng.uniform(float(pixels.min()), float(pixels.max()), (count, *pixels.shape[1:])).astype(np.float32)
    given = run(open_session(path), noise)
    try:
        wanted = run_in_integers(network, torch.from_numpy(noise)).numpy()
    except NetworkError:
        return None
    last = last_upsampling(network.graph)
    if last is not None and given.shape != wanted.shape:
        wanted = _upsampled(wanted, last)
    return bool(np.array_equal(wanted, given))


def _upsampled(logits: Float[np.ndarray, "n classes h w"], last: Any) -> Float[np.ndarray, "n classes *map"]:
    """What the runtime makes of low-resolution logits where the file has the up-sampling inside."""
    height, width = last.meta["val"].shape[2:]
    if last.target is ATEN.upsample_bilinear2d.vec:
        return bilinear(logits, (int(height), int(width)), corners=bool(arguments_of(last)[2]))
    nearest: np.ndarray = nn.functional.interpolate(torch.from_numpy(logits), size=(height, width)).numpy()
    return nearest
