"""Meaning of an operation of ATen: its role in a quantized network, its limits, what it does in integers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, final

import torch
from torch import fx

from evo_qnas.errors import NetworkError

ATEN = torch.ops.aten

# From a node and its arguments in the operation's order, defaults filled in, to what the node gives: None where these
# arguments have no integer kernel. Quantized tensors are `Centred`, results that wait for their quantizer `Pending`,
# other tensors are torch's, everything else is as it stands in the graph.
Integer = Callable[[fx.Node, Sequence[Any]], Any]


@final
class Role(Enum):
    """Part that an operation plays in a network, which decides how it is quantized.

    Attributes:
        CONVOLUTION: a layer with integer weights, outputs first; channels of its maps are the second axis.
        TRANSPOSED_CONVOLUTION: a layer with integer weights, which quantized layers keep outputs first too; channels of
            its maps are the second axis.
        EMBEDDING: a layer whose integer rows are chosen by integers; channels are the last axis.
        LINEAR: a layer with integer weights; channels are the last axis.
        NORMALIZATION: folded into the convolution before it where that is its only reader.
        ACTIVATION: cuts values to limits, which the quantizer behind it takes over.
        LAYOUT: moves values or chooses among them, so that its output has the codes of its input.
        ARITHMETIC: computes with several tensors; its output gets a quantizer, as that of all roles below.
        POOLING: means of values.
        RESIZE: maps at another size.
        FUNCTION: a function of each value, or of a tensor.
        SHAPE: gives numbers, no tensor.
    """

    CONVOLUTION = "convolution"
    TRANSPOSED_CONVOLUTION = "transposed convolution"
    EMBEDDING = "embedding"
    LINEAR = "linear"
    NORMALIZATION = "normalization"
    ACTIVATION = "activation"
    LAYOUT = "layout"
    ARITHMETIC = "arithmetic"
    POOLING = "pooling"
    RESIZE = "resize"
    FUNCTION = "function"
    SHAPE = "shape"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation that quantization, the integer reference and exporters know; entry of the registry `OPERATIONS`.

    Attributes:
        name: as in the registry.
        role: what it does in a network.
        overloads: the overloads of ATen that are this operation, plain ones and ones that write in place.
        plain: for each overload that writes in place the plain one that takes its place.
        limits: of an activation, the values to which a node cuts its input.
        copies: a layout operation makes a tensor of its own; False where it only looks at one in another shape.
        resizes: changes the size of maps; at the very end of a network it stays outside, on floats.
        integer: what it does in integers; where it is None, or gives None, torch computes the operation in float32
            between quantizers. A layout operation without one works on the codes as on any numbers.
        float_arguments: positions of arguments that are read in floats: what only leads there gets no quantizer, see
            `stays_in_floats`.
        passes: a function of each value on whose way to a float argument no quantizer stands.
        translations: by name of a runtime, for operations that the runtime's own tables lack. A layout operation takes
            (builder, codes, node, arguments) and gives codes as the runtime's layout table does; others take
            (builder, node, arguments) as its table of operations.
    """

    name: str
    role: Role
    overloads: tuple[Any, ...]
    plain: Mapping[Any, Any] = field(default_factory=dict)
    limits: Callable[[fx.Node], tuple[float, float]] | None = None
    copies: bool = True
    resizes: bool = False
    integer: Integer | None = None
    float_arguments: tuple[int, ...] = ()
    passes: bool = False
    translations: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.overloads:
            raise NetworkError(f"operation {self.name!r} has no overloads: name at least one of torch.ops.aten")
        if (self.role is Role.ACTIVATION) != (self.limits is not None):
            raise NetworkError(f"operation {self.name!r} is of role {self.role.value}: limits belong to activations")


def arguments_of(node: fx.Node) -> list[Any]:
    """All arguments of a node in the operation's order, defaults filled in."""
    schema: Any = node.target._schema  # type: ignore[union-attr]  # callers pass operations of ATen alone
    arguments: list[Any] = []
    for index, argument in enumerate(schema.arguments):
        if index < len(node.args):
            arguments.append(node.args[index])
        elif argument.name in node.kwargs:
            arguments.append(node.kwargs[argument.name])
        else:
            arguments.append(argument.default_value if argument.has_default_value() else None)
    return arguments


def declare(name: str, role: Role, *overloads: Any, **settings: Any) -> Operation:
    """An operation with the overloads that write in place beside their plain ones, where ATen has them.

    Example:
        >>> declare("silu", Role.FUNCTION, ATEN.silu.default).plain
        {<OpOverload(op='aten.silu_', overload='default')>: <OpOverload(op='aten.silu', overload='default')>}
    """
    plain = {}
    for overload in overloads:
        packet = getattr(ATEN, f"{overload._schema.name.split('::')[1]}_", None)
        in_place = None if packet is None else getattr(packet, overload._overloadname, None)
        if in_place is not None:
            plain[in_place] = overload
    return Operation(name=name, role=role, overloads=(*overloads, *plain), plain=plain, **settings)
