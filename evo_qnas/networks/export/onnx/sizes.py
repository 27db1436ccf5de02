"""The bytes of an ONNX file: packed tensors of the network, constants of the graph, the graph itself."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.tensors import FLOAT_PART
from evo_qnas.networks.export.checks import compressed_bytes


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FileSizes:
    """Sizes of one ONNX file in bytes.

    Attributes:
        file: the file on disk.
        compressed: the file after gzip, level 9.
        packed: weight codes, scales and biases, steps and zero points of activations: the `size_bytes` of the tables.
        constants: shapes, limits and zero points of weights that the graph needs beside them.
        graph: nodes, names and everything else.
    """

    file: int
    compressed: int
    packed: int
    constants: int
    graph: int


def file_sizes(path: Path) -> FileSizes:
    """The sizes of an ONNX file of ours, read from the file alone.

    Packed tensors are found by what reads them: QuantizeLinear its step and zero point, DequantizeLinear of a constant
    its codes (behind `Unpack` where they have fewer than 8 bits) and, where they are weights, its scale; float parts
    by their names.

    Raises:
        NetworkError: the file is missing or no ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        content = path.read_bytes()
        model = onnx.load_from_string(content)
    except (OSError, DecodeError) as error:
        raise NetworkError(f"{path} is no readable ONNX file: {error}") from error
    bytes_of = {tensor.name: _tensor_bytes(tensor) for tensor in model.graph.initializer}
    used = _packed_names(model.graph.node, bytes_of)
    packed = sum(bytes_of[name] for name in used)
    constants = sum(bytes_of.values()) - packed
    return FileSizes(
        file=len(content),
        compressed=compressed_bytes(content),
        packed=packed,
        constants=constants,
        graph=len(content) - packed - constants,
    )


def _packed_names(nodes: Any, constants: dict[str, int]) -> set[str]:
    """Names of the constants that are tensors of the network."""
    unpacked = {node.output[0]: node.input[0] for node in nodes if node.op_type == "Unpack"}
    names = {name for name in constants if name.startswith(FLOAT_PART)}
    for node in nodes:
        if node.op_type == "QuantizeLinear":
            names.update(node.input[1:3])
        elif node.op_type == "DequantizeLinear":
            codes = unpacked.get(node.input[0], node.input[0])
            if codes in constants:
                # A bias's scale is no constant: the graph multiplies it from the input's step and the weight's scale.
                own = [name for name in node.input[2:] if name.endswith(".zero_point")]
                names.update(name for name in (codes, node.input[1], *own) if name in constants)
    return names


def _tensor_bytes(tensor: Any) -> int:
    from onnx import numpy_helper

    return int(numpy_helper.to_array(tensor).nbytes)
