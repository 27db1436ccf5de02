"""Codes of every quantizer of a TFLite file, for a comparison with the reference step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from evo_qnas.networks.export.tflite.interpreters import feed, interpreter_of
from evo_qnas.networks.export.tflite.values import Tensor

Array = Shaped[np.ndarray, "..."]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A tensor of codes, and the axis along which there are more of them for more images; None where there are not."""

    tensor: Tensor
    images: int | None


def codes_of(
    content: bytes, tensors: Mapping[str, Watched], inputs: Sequence[Array], *, delegate: bool = True
) -> dict[str, Array]:
    """Codes of nodes, as torch counts their axes, of any number of images.

    Args:
        content: of the file.
        tensors: in the file, by the names of nodes.
        inputs: one array for each input, images first.
        delegate: with XNNPACK, which fuses what nobody reads: here every quantizer's tensor is an output.
    """
    order = list(dict.fromkeys(watched.tensor.tensor for watched in tensors.values()))
    interpreter = interpreter_of(with_outputs(content, order), delegate=delegate)
    places = dict(zip(order, interpreter.get_output_details()[-len(order) :], strict=True))
    found: dict[str, list[Array]] = {name: [] for name in tensors}
    for index in range(len(inputs[0])):
        feed(interpreter, [part[index : index + 1] for part in inputs])
        interpreter.invoke()
        for name, watched in tensors.items():
            tensor = watched.tensor
            stored = interpreter.get_tensor(places[tensor.tensor]["index"]).reshape(tensor.stored)
            axes = [tensor.order.index(axis) for axis in range(len(tensor.order))]
            found[name].append(stored.transpose(axes).astype(np.int16) - np.int16(tensor.offset))
    return {
        name: parts[0] if tensors[name].images is None else np.concatenate(parts, axis=tensors[name].images)
        for name, parts in found.items()
    }


def with_outputs(content: bytes, tensors: Sequence[int]) -> bytes:
    """The file with more tensors among its outputs."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, *tensors]
    model.signatureDefs = []
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
