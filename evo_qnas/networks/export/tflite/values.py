"""Values of nodes while a network is translated to TFLite, and how their codes become int8."""

from dataclasses import dataclass
from math import inf
from typing import Any, final

from torch import fx

from evo_qnas.networks.export.common.arguments import static_shape
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer

Shape = tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Int8Codes:
    """An int8 tensor in the file: codes of a quantizer plus an offset.

    Attributes:
        tensor: its index.
        shape: as torch has it, of one image.
        quantizer: where the codes come from.
        offset: -128 where codes use all 8 bits, see `offset_of`.
    """

    tensor: int
    shape: Shape
    quantizer: ActivationQuantizer
    offset: int

    @property
    def step(self) -> float:
        """The step."""
        return float(self.quantizer.scale().detach())

    @property
    def zero(self) -> int:
        """The zero point of the int8 tensor."""
        return int(self.quantizer.zero_point) + self.offset


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An operator that is added once the quantizer behind it is known.

    Attributes:
        code: its name in the schema.
        inputs: tensors.
        shape: of its output, as torch has it.
        options: the schema's options.
        fuses: it can cut negative values off by itself.
        parts: of a concatenation, whose inputs have to have the step of its output.
        low: lower limit from a ReLU.
        high: upper limit from a ReLU6.
    """

    code: str
    inputs: tuple[int, ...]
    shape: Shape
    options: Any = None
    fuses: bool = False
    parts: tuple[Int8Codes, ...] = ()
    low: float = -inf
    high: float = inf


Value = Int8Codes | Pending


def offset_of(high: int) -> int:
    """The offset that turns a quantizer's codes into int8, for a largest code.

    The largest code becomes 127, where every kernel of the runtime cuts off by itself: neither fewer bits nor a ReLU6
    need an operator for it.

    Example:
        >>> offset_of(255), offset_of(15)
        (-128, 112)
    """
    return 127 - high


def shape_of(node: fx.Node) -> Shape:
    """A node's output shape for one image, as torch has it."""
    return tuple(1 if size == -1 else size for size in static_shape(node))


def stored_shape(shape: Shape) -> Shape:
    """The shape that a tensor has in the file: maps have their channels last.

    Example:
        >>> stored_shape((1, 3, 8, 6)), stored_shape((1, 10))
        ((1, 8, 6, 3), (1, 10))
    """
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def stored_axis(axis: int, rank: int) -> int:
    """The position in the file of an axis of a torch tensor.

    Example:
        >>> [stored_axis(axis, 4) for axis in (0, 1, -1)], stored_axis(-1, 2)
        ([0, 3, 2], 1)
    """
    axis %= rank
    return (0, 3, 1, 2)[axis] if rank == 4 else axis
