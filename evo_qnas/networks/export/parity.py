"""An exported network against torch, and against the integer reference."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Int

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.runtime import open_session, run
from evo_qnas.networks.quantize import QuantizedNetwork
from evo_qnas.networks.reference import run_in_integers
from evo_qnas.networks.training import EVALUATION_BATCH

REFERENCE_IMAGES = 16


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How an ONNX file and the torch network compare on labelled images.

    Attributes:
        metric: accuracy of the file in ONNX Runtime, 0..1.
        torch_metric: accuracy of the torch network.
        max_abs_diff: largest difference between two logits.
        argmax_agreement: share of the images on which the largest logit is the same, 0..1.
    """

    metric: float
    torch_metric: float
    max_abs_diff: float
    argmax_agreement: float


def compare(network: QuantizedNetwork, path: Path, images: Images, *, exact: bool = True) -> Parity:
    """Runs both on the images; `exact` as in `open_session`."""
    mine = torch_logits(network, images.pixels)
    theirs = run(open_session(path, exact=exact), images.pixels.numpy(force=True))
    return parity_of(mine, theirs, images.labels.numpy(force=True))


def torch_logits(network: QuantizedNetwork, pixels: Float[torch.Tensor, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """The torch network's logits."""
    with torch.no_grad():
        parts = [network(batch).numpy(force=True) for batch in pixels.split(EVALUATION_BATCH)]
    return np.concatenate(parts)


def parity_of(
    mine: Float[np.ndarray, "n classes *map"],
    theirs: Float[np.ndarray, "n classes *map"],
    labels: Int[np.ndarray, "n *map"],
) -> Parity:
    """Compares logits.

    Example:
        >>> ones = np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32)
        >>> parity_of(ones, ones[:, ::-1] * 0.5, np.array([1, 0]))
        Parity(metric=0.5, torch_metric=0.5, max_abs_diff=1.0, argmax_agreement=0.0)
    """
    one, other = mine.argmax(axis=1), theirs.argmax(axis=1)
    return Parity(
        metric=float((other == labels).mean()),
        torch_metric=float((one == labels).mean()),
        max_abs_diff=float(np.abs(mine - theirs).max()),
        argmax_agreement=float((one == other).mean()),
    )


def equals_reference(network: QuantizedNetwork, path: Path, images: Images, rng: np.random.Generator) -> bool | None:
    """Whether the file gives bit for bit what the integer reference gives on random inputs in the images' range.

    None where the network has an operation without integer kernel.
    """
    pixels = images.pixels
    shape = (REFERENCE_IMAGES, *pixels.shape[1:])
    noise = rng.uniform(float(pixels.min()), float(pixels.max()), shape).astype(np.float32)
    try:
        wanted = run_in_integers(network, torch.from_numpy(noise)).numpy()
    except NetworkError:
        return None
    return bool(np.array_equal(wanted, run(open_session(path), noise)))
