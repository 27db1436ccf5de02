"""An operation: channels in the reverse order."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.capture.operations.operation import Operation, Role


def _to_onnx(builder: Any, source: str, _node: fx.Node, _arguments: Sequence[Any]) -> str:
    """A slice from the last channel to the first."""
    values = ([-1], [-(2**31)], [1], [-1])
    return builder.node("Slice", source, *(builder.constant(value, "int64") for value in values))


def _to_tflite(builder: Any, source: Any, _node: fx.Node, _arguments: Sequence[Any]) -> Any:
    from evo_qnas.networks.export.tflite.moves import reversed_along

    return reversed_along(builder, source, 1)


FLIPLR = Operation(
    name="fliplr",
    role=Role.LAYOUT,
    overloads=(ATEN.fliplr.default,),
    translations={"onnx": _to_onnx, "tflite": _to_tflite},
)
