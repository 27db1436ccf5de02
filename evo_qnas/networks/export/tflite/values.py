"""Values of nodes while a network is translated to TFLite: how axes lie in the file, how codes become int8."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Shaped
from torch import fx

from evo_qnas.networks.quantization.quantizers import ActivationQuantizer

Shape = tuple[int, ...]
# Where `for_one_image` keeps what a node gives for any number of images.
IMAGES = "images"
# Names of the schema for the numbers of torch: every integer is 32 bits wide, which all kernels read.
KINDS = {torch.bool: "BOOL", torch.float32: "FLOAT32", torch.float16: "FLOAT32", torch.float64: "FLOAT32"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor in the file: codes of a quantizer plus an offset, floats, integers or truth values.

    Attributes:
        tensor: its index.
        shape: as torch has it, of one image.
        order: axes as torch counts them, in the order in which they lie in the file: moving axes costs nothing until an
            operator wants them in an order of its own.
        kind: a name of the schema's `TensorType`.
        quantizer: where codes come from; None for everything else.
        offset: of codes: -128 where they use all 8 bits, see `offset_of`.
    """

    tensor: int
    shape: Shape
    order: Shape
    kind: str = "INT8"
    quantizer: ActivationQuantizer | None = None
    offset: int = 0

    @property
    def stored(self) -> Shape:
        """The shape in the file."""
        return tuple(self.shape[axis] for axis in self.order)

    @property
    def step(self) -> float | None:
        """The step of codes, None for anything else."""
        return None if self.quantizer is None else float(self.quantizer.scale().detach())

    @property
    def zero(self) -> int:
        """The zero point of the int8 tensor."""
        return 0 if self.quantizer is None else int(self.quantizer.zero_point) + self.offset

    def position(self, axis: int) -> int:
        """The position in the file of an axis of the torch tensor."""
        return self.order.index(axis % len(self.shape))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """Numbers that the network brings along, stored once, in the order in which the first operator wants them.

    Attributes:
        name: in the file; "" for numbers that are no tensor of the network's own.
        array: float32, int32 or bool.
    """

    name: str
    array: Shaped[np.ndarray, "..."]

    @property
    def shape(self) -> Shape:
        """The shape as torch has it."""
        return tuple(self.array.shape)

    @property
    def kind(self) -> str:
        """The schema's name of its numbers, as operators read them."""
        return {"f": "FLOAT32", "i": "INT32", "b": "BOOL"}[self.array.dtype.kind]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An operator that is added once the quantizer behind it is known.

    Attributes:
        code: its name in the schema.
        inputs: tensors.
        shape: of its output, as torch has it.
        order: of its output's axes in the file.
        options: the schema's options.
        fuses: it can cut negative values off by itself.
        parts: of a concatenation, whose inputs have to have the step of its output.
        finish: what becomes of its codes: they move, and keep their step.
        low: lower limit from a ReLU.
        high: upper limit from a ReLU6.
    """

    code: str
    inputs: tuple[int, ...]
    shape: Shape
    order: Shape
    options: Any = None
    fuses: bool = False
    parts: "tuple[Tensor | Pending, ...]" = ()
    finish: Callable[[Any, Tensor], Tensor] | None = None
    low: float = -inf
    high: float = inf


Value = Any
"""A `Tensor`, a `Constant`, a `Pending`, a number, or a list of these."""


def offset_of(high: int) -> int:
    """The offset that turns a quantizer's codes into int8, for a largest code.

    The largest code becomes 127, where every kernel of the runtime cuts off by itself: neither fewer bits nor a ReLU6
    need an operator for it.

    Example:
        >>> offset_of(255), offset_of(15)
        (-128, 112)
    """
    return 127 - high


def one_image(size: Any) -> Any:
    """A number that may depend on how many images there are, for one image."""
    if not isinstance(size, torch.SymInt):
        return size
    expression = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, 1)))


def shape_of(node: fx.Node, index: int | None = None) -> Shape:
    """A node's output shape for one image, as torch has it; of one of several outputs where `index` says which."""
    value = node.meta["val"] if index is None else node.meta["val"][index]
    return tuple(int(one_image(size)) for size in value.shape)


def kind_of(dtype: torch.dtype) -> str:
    """The schema's name of numbers of a type.

    Example:
        >>> kind_of(torch.int64), kind_of(torch.float32)
        ('INT32', 'FLOAT32')
    """
    return KINDS.get(dtype, "INT32")


def identity(rank: int) -> Shape:
    """Axes that lie in the file as torch has them."""
    return tuple(range(rank))


def channels_last(rank: int) -> Shape:
    """The order of maps in the file, of any number of axes.

    Example:
        >>> channels_last(4), channels_last(3)
        ((0, 2, 3, 1), (0, 2, 1))
    """
    return (0, *range(2, rank), 1)


def outer_order(rank: int) -> Shape:
    """The order of an input or output of the whole file: maps of two axes have their channels last."""
    return channels_last(4) if rank == 4 else identity(rank)


def stored_shape(shape: Sequence[int]) -> Shape:
    """The shape that an input or output of the whole file has in it.

    Example:
        >>> stored_shape((1, 3, 8, 6)), stored_shape((1, 10))
        ((1, 8, 6, 3), (1, 10))
    """
    return tuple(shape[axis] for axis in outer_order(len(shape)))
