"""Values of nodes while a network is translated: integer codes, or floats on their way to a quantizer."""

from dataclasses import dataclass
from math import inf
from typing import final

from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class UInt8Codes:
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


Value = UInt8Codes | Floats
