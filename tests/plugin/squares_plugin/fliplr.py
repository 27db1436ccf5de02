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


def _to_tflite(builder: Any, source: Any, node: fx.Node, _arguments: Sequence[Any]) -> Any:
    from evo_qnas.networks.export.tflite.layout import relaid
    from evo_qnas.networks.export.tflite.values import shape_of, stored_axis

    axes = builder.numbers([stored_axis(1, len(source.shape))])
    options = builder.schema.ReverseV2OptionsT()
    return relaid(builder, source, shape_of(node), "REVERSE_V2", inputs=(axes,), options=options)


FLIPLR = Operation(
    name="fliplr",
    role=Role.LAYOUT,
    overloads=(ATEN.fliplr.default,),
    translations={"onnx": _to_onnx, "tflite": _to_tflite},
)
