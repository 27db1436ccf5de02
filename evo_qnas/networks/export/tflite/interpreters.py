"""Interpreters of TFLite files on the CPU, and the kernels that files ask for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.findings import Kernels

Array = Shaped[np.ndarray, "..."]
# What each kind of layer reads codes and weights at.
_CONVOLUTIONS = {"CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "TRANSPOSE_CONV": (1, 2)}


def open_interpreter(path: Path, *, delegate: bool = True, threads: int = 1) -> Any:
    """An interpreter of a TFLite file, ready to run one image.

    Args:
        path: the file.
        delegate: with XNNPACK, as the runtime does by itself; off, with the kernels that every build has.
        threads: of one run.

    Raises:
        NetworkError: the file is missing or the runtime cannot load it.
    """
    if not path.is_file():
        raise NetworkError(f"there is no TFLite file {path}")
    try:
        return interpreter_of(path.read_bytes(), delegate=delegate, threads=threads)
    except (RuntimeError, ValueError) as error:
        raise NetworkError(f"the TFLite runtime cannot load {path}: {error}") from error


def interpreter_of(content: bytes, *, delegate: bool = True, threads: int = 1) -> Any:
    """An interpreter of the content of a file, see `open_interpreter`."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    kernels = OpResolverType.BUILTIN if delegate else plain
    interpreter = Interpreter(model_content=content, num_threads=threads, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    return interpreter


def feed(interpreter: Any, inputs: Sequence[Array]) -> None:
    """Sets the inputs of one image, as torch has them."""
    for source, value in zip(interpreter.get_input_details(), inputs, strict=True):
        moved = np.moveaxis(value, 1, -1) if value.ndim == 4 else value
        interpreter.set_tensor(source["index"], np.ascontiguousarray(moved.astype(source["dtype"])))


def run(interpreter: Any, inputs: Array | Sequence[Array] | Mapping[str, Array]) -> Any:
    """What a file gives for examples, one after the other: one array, or arrays by name; as torch has them.

    Args:
        interpreter: of the file.
        inputs: an array, one for each input of the file in its order, or arrays by the names of inputs.
    """
    each = arrays_of(interpreter, inputs)
    results = interpreter.get_output_details()
    parts: list[list[Array]] = [[] for _ in results]
    for index in range(len(each[0])):
        feed(interpreter, [array[index : index + 1] if len(array) == len(each[0]) else array for array in each])
        interpreter.invoke()
        for part, result in zip(parts, results, strict=True):
            part.append(interpreter.get_tensor(result["index"]))
    joined = [in_torch_order(part) for part in parts]
    if len(joined) == 1:
        return joined[0]
    return {result["name"]: array for result, array in zip(results, joined, strict=True)}


def arrays_of(interpreter: Any, inputs: Array | Sequence[Array] | Mapping[str, Array]) -> list[Array]:
    """An array for each input of a file, in its order."""
    if isinstance(inputs, Mapping):
        return [np.asarray(inputs[source["name"]]) for source in interpreter.get_input_details()]
    return list(inputs) if isinstance(inputs, (tuple, list)) else [np.asarray(inputs)]


def in_torch_order(parts: Sequence[Array]) -> Array:
    """Outputs of examples, one after the other, channels first as torch has maps."""
    array = np.concatenate(parts) if parts[0].ndim else parts[0]
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim == 4 else array


def prepare(path: Path, threads: int, rng: np.random.Generator) -> Callable[[], object]:
    """One run of a file on a random image, with the runtime's own choice of kernels."""
    interpreter = open_interpreter(path, threads=threads)
    for source in interpreter.get_input_details():
        floating = source["dtype"] is np.float32
        values = rng.standard_normal(source["shape"], dtype=np.float32) if floating else np.ones(source["shape"])
        interpreter.set_tensor(source["index"], values.astype(source["dtype"]))
    invoke: Callable[[], object] = interpreter.invoke
    return invoke


def kernels(content: bytes) -> Kernels:
    """The layers of a file, and how many of them read and write integers, which decides on their kernels."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    counts = {"convolutions": 0, "integer_convolutions": 0, "linear": 0, "integer_linear": 0}
    for operator in graph.operators:
        name = names[model.operatorCodes[operator.opcodeIndex].builtinCode]
        if name not in (*_CONVOLUTIONS, "FULLY_CONNECTED"):
            continue
        kind = "convolutions" if name in _CONVOLUTIONS else "linear"
        tensors = [*(operator.inputs[place] for place in _CONVOLUTIONS.get(name, (0, 1))), *operator.outputs]
        counts[kind] += 1
        counts[f"integer_{kind}"] += all(graph.tensors[index].type == schema.TensorType.INT8 for index in tensors)
    return Kernels(**counts)
