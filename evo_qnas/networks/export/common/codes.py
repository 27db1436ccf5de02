"""Codes that stand for limits and for padding values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


def code_limits(quantizer: ActivationQuantizer, low: float, high: float) -> tuple[int, int]:
    """Smallest and largest code of values within low..high: rounding keeps order, so a float limit is a code limit.

    Example:
        >>> quantizer = ActivationQuantizer(name="a", block="", bits=4)
        >>> quantizer.scale.set(torch.tensor([0.5]))
        >>> quantizer.zero_point, quantizer.active = torch.tensor([2.0]), True
        >>> code_limits(quantizer, 0.0, 6.0)
        (2, 14)
    """
    top = 2.0**quantizer.bits * float(quantizer.scale().detach())
    with torch.no_grad():
        limits = quantizer.codes(torch.tensor([max(low, -top), min(high, top)]))
    return int(limits[0]), int(limits[1])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Padding:
    """Arguments of a padding node.

    Attributes:
        widths: as torch names them: the last axis first, each with its beginning and its end.
        mode: `constant`, `reflect`, ...
        filling: value of a constant padding.
    """

    widths: tuple[int, ...]
    mode: str
    filling: float


def padding_of(node: fx.Node, arguments: Sequence[Any]) -> Padding:
    """The arguments of a padding node."""
    constant = node.target is ATEN.constant_pad_nd.default
    return Padding(
        widths=tuple(int(width) for width in arguments[1]),
        mode="constant" if constant else str(arguments[2]),
        filling=float((arguments[2] if constant else arguments[3]) or 0.0),
    )


def padding_code(quantizer: ActivationQuantizer, filling: float) -> int:
    """The code nearest to a padding value."""
    with torch.no_grad():
        return int(quantizer.codes(torch.tensor([filling])))
