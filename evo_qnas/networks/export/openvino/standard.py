"""ONNX files of standard operations alone: what readers that know no functions of ours can load."""

from typing import Any

import numpy as np

from evo_qnas.networks.export.onnx.builder import DOMAIN
from evo_qnas.networks.export.onnx.packed import UNPACK


def standard_model(model: Any) -> Any:
    """A copy of a model whose packed weights are int8 constants, and whose other functions are written out.

    Weights of fewer than 8 bits take a byte each then: OpenVINO unpacks a packed constant in every run, and runs the
    convolution behind it in floats; behind an int4 constant it does the same.

    Args:
        model: of ours, as `part_to_onnx` gives it.
    """
    from onnx import ModelProto, inliner, numpy_helper

    made = ModelProto.FromString(model.SerializeToString())
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    kept = []
    for node in made.graph.node:
        if (node.domain, node.op_type) == (DOMAIN, UNPACK):
            packed, places, shape = (numpy_helper.to_array(constants[name]) for name in node.input)
            codes = _codes(packed, places, shape)
            made.graph.initializer.append(numpy_helper.from_array(codes, node.output[0]))
        else:
            kept.append(node)
    del made.graph.node[:]
    made.graph.node.extend(kept)
    functions = [function for function in made.functions if function.name != UNPACK]
    del made.functions[:]
    made.functions.extend(functions)
    if functions:
        made = inliner.inline_local_functions(made)
    read = {name for node in made.graph.node for name in node.input} | {value.name for value in made.graph.output}
    used = [tensor for tensor in made.graph.initializer if tensor.name in read]
    del made.graph.initializer[:]
    made.graph.initializer.extend(used)
    versions = [each for each in made.opset_import if each.domain != DOMAIN]
    del made.opset_import[:]
    made.opset_import.extend(versions)
    return made


def _codes(packed: Any, places: Any, shape: Any) -> Any:
    """The int8 codes of a dense stream of bits, as the function `Unpack` makes them."""
    bits = len(places)
    stream = np.unpackbits(packed.reshape(-1))[: int(np.prod(shape)) * bits].reshape(-1, bits)
    return (stream.astype(np.int64) @ places.astype(np.int64)).reshape(shape).astype(np.int8)
