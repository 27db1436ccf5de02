"""An operation: values in the reverse order of some axes."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.capture.operations.operation import Operation, Role


def _to_onnx(builder: Any, source: str, _node: fx.Node, arguments: Sequence[Any]) -> str:
    """A slice from the last value to the first."""
    axes = [int(axis) for axis in arguments[1]]
    values = ([-1] * len(axes), [-(2**31)] * len(axes), axes, [-1] * len(axes))
    return builder.node("Slice", source, *(builder.constant(value, "int64") for value in values))


def _to_tflite(builder: Any, source: Any, node: fx.Node, arguments: Sequence[Any]) -> Any:
    from evo_qnas.networks.export.tflite.layout import relaid
    from evo_qnas.networks.export.tflite.values import shape_of, stored_axis

    axes = builder.numbers([stored_axis(int(axis), len(source.shape)) for axis in arguments[1]])
    options = builder.schema.ReverseV2OptionsT()
    return relaid(builder, source, shape_of(node), "REVERSE_V2", inputs=(axes,), options=options)


FLIP = Operation(
    name="flip",
    role=Role.LAYOUT,
    overloads=(ATEN.flip.default,),
    translations={"onnx": _to_onnx, "tflite": _to_tflite},
)
