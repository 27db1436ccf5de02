"""TFLite files that take and give codes: what microcontrollers and NPUs run from end to end."""

from collections import Counter
from typing import Any

import numpy as np

from evo_qnas.networks.export.tflite.builder import Content, packed


def with_integer_ends(content: bytes) -> bytes:
    """A file without the operators that make codes of its inputs and floats of its outputs.

    Inputs and outputs keep their names and become int8, with step and zero point in their tensors. An input that
    several operators read, or another one than QUANTIZE, stays float32; so does an output that is no DEQUANTIZE's.

    Args:
        content: of a file with float32 inputs and outputs.
    """
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    kinds = [names[code.builtinCode] for code in model.operatorCodes]
    renamed: dict[int, int] = {}
    for operator in list(graph.operators):
        outer, inner = _ends(graph, operator, kinds[operator.opcodeIndex])
        if outer is None or inner in renamed.values():
            continue
        renamed[outer] = inner
        graph.tensors[inner].name = graph.tensors[outer].name
        graph.operators.remove(operator)
    graph.inputs, graph.outputs = ([renamed.get(int(t), int(t)) for t in end] for end in (graph.inputs, graph.outputs))
    for signature in model.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = renamed.get(entry.tensorIndex, entry.tensorIndex)
    _without(model, set(renamed))
    # The schema's own buffers lose their alignment, which kernels of microcontrollers count on.
    model.buffers = [Content(b"" if part.data is None else bytes(bytearray(part.data))) for part in model.buffers]
    return packed(model)


def _ends(graph: Any, operator: Any, kind: str) -> tuple[Any, int]:
    """The outer tensor of an operator that only makes codes of an input or floats of an output, and its codes."""
    if kind not in ("QUANTIZE", "DEQUANTIZE"):
        return None, -1
    source, result = int(operator.inputs[0]), int(operator.outputs[0])
    reads = Counter(int(tensor) for each in graph.operators for tensor in each.inputs)
    ends = {*map(int, graph.inputs), *map(int, graph.outputs)}
    if kind == "QUANTIZE" and source in graph.inputs and reads[source] == 1 and not {source} & {*graph.outputs}:
        return (source, result) if result not in ends else (None, -1)
    if kind == "DEQUANTIZE" and result in graph.outputs and not reads[result]:
        return (result, source) if source not in ends else (None, -1)
    return None, -1


def _without(model: Any, dropped: set[int]) -> None:
    """Takes tensors out of a model that nothing reads any more."""
    graph = model.subgraphs[0]
    kept = [index for index in range(len(graph.tensors)) if index not in dropped]
    places = {-1: -1, **{index: place for place, index in enumerate(kept)}}
    graph.tensors = [graph.tensors[index] for index in kept]
    graph.inputs, graph.outputs = ([places[index] for index in end] for end in (graph.inputs, graph.outputs))
    for operator in graph.operators:
        operator.inputs = np.array([places[int(index)] for index in operator.inputs], dtype=np.int32)
        operator.outputs = np.array([places[int(index)] for index in operator.outputs], dtype=np.int32)
    for signature in model.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = places[entry.tensorIndex]
