"""TFLite files on the CPU: as a torch module, which kernels they ask for, how long one image takes."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.common.latency import Latency, latency_of
from evo_qnas.networks.export.onnx.runtime import Kernels

_WARM_UP = 3
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def open_interpreter(path: Path, *, delegate: bool = True) -> Any:
    """An interpreter of a TFLite file on one thread, ready to run one image.

    Args:
        path: the file.
        delegate: with XNNPACK, as the runtime does by itself; off, with the kernels that every build has.

    Raises:
        NetworkError: the file is missing or the runtime cannot load it.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if not path.is_file():
        raise NetworkError(f"there is no TFLite file {path}")
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    kernels = OpResolverType.BUILTIN if delegate else plain
    try:
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise NetworkError(f"the TFLite runtime cannot load {path}: {error}") from error
    return interpreter


def run(interpreter: Any, images: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """The logits of images, one after the other; both as torch has them, channels first."""
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for index in range(len(images)):
        image = images[index : index + 1]
        interpreter.set_tensor(given["index"], np.moveaxis(image, 1, -1) if image.ndim == 4 else image)
        interpreter.invoke()
        found.append(interpreter.get_tensor(taken["index"]))
    logits = np.concatenate(found)
    return np.ascontiguousarray(np.moveaxis(logits, -1, 1)) if logits.ndim == 4 else logits


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
        ends = [*operator.inputs[:2], *operator.outputs]
        counts[kind] += 1
        counts[f"integer_{kind}"] += all(graph.tensors[index].type == schema.TensorType.INT8 for index in ends)
    return Kernels(**counts)


def measure(path: Path, *, rounds: int, seed: int) -> Latency:
    """CPU time of one random image on one thread, with the runtime's own choice of kernels."""
    interpreter = open_interpreter(path)
    given = interpreter.get_input_details()[0]
    image = np.random.default_rng(seed).standard_normal(given["shape"], dtype=np.float32)
    interpreter.set_tensor(given["index"], image)
    times = np.empty(_WARM_UP + rounds)
    for index in range(len(times)):
        start = time.process_time_ns()
        interpreter.invoke()
        times[index] = (time.process_time_ns() - start) / 1e6
    return latency_of(times[_WARM_UP:])
