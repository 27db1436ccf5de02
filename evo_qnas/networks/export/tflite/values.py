"""What a node of the network gives while it is translated to TFLite, and how its codes become int8."""

from dataclasses import dataclass
from math import inf
from typing import Any, final

from torch import fx

from evo_qnas.networks.export.onnx.moves import static_shape
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer

Shape = tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
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
        shape: of what it gives, as torch has it.
        options: the schema's options.
        fuses: it can cut negative values off by itself.
        parts: of a concatenation, whose inputs have to have the step of what it gives.
        low: lower limit from a ReLU.
        high: upper limit from a ReLU6.
    """

    code: str
    inputs: tuple[int, ...]
    shape: Shape
    options: Any = None
    fuses: bool = False
    parts: tuple[Codes, ...] = ()
    low: float = -inf
    high: float = inf


def offset_of(high: int) -> int:
    """What turns a quantizer's codes into int8, for a largest code.

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
    """Where an axis of a torch tensor stands in the file.

    Example:
        >>> [stored_axis(axis, 4) for axis in (0, 1, -1)], stored_axis(-1, 2)
        ([0, 3, 2], 1)
    """
    axis %= rank
    return (0, 3, 1, 2)[axis] if rank == 4 else axis
