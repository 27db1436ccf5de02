"""What a node of the network gives while it is translated: integer codes, or floats on their way to a quantizer."""

from dataclasses import dataclass
from math import inf
from typing import final

import torch

from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """A uint8 tensor of codes in the graph and the quantizer they come from."""

    name: str
    quantizer: ActivationQuantizer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Floats:
    """A float tensor in the graph, and what still has to happen to it once it is quantized.

    Attributes:
        name: in the graph.
        low: lower limit from a ReLU that the quantizer's integer limits take over.
        high: upper limit from a ReLU6.
        shape: shape that the codes take (-1 for the batch), None to keep the present one.
    """

    name: str
    low: float = -inf
    high: float = inf
    shape: tuple[int, ...] | None = None


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
        ends = quantizer.codes(torch.tensor([max(low, -top), min(high, top)]))
    return int(ends[0]), int(ends[1])
