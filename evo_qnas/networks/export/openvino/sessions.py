"""ONNX files compiled by OpenVINO for the CPU, one image at a time, and the kernels that run them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.findings import Kernels

Array = Shaped[np.ndarray, "..."]
_CONVOLUTIONS = ("Convolution", "GroupConvolution", "Deconvolution")
_LINEAR = ("FullyConnected", "MatMul")
_INTEGERS = ("u8", "i8")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A compiled file.

    Attributes:
        compiled: by OpenVINO.
        request: that runs it.
        inputs: names of its inputs, in its order.
        outputs: names of its outputs.
    """

    compiled: Any
    request: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def open_session(path: Path, *, threads: int = 1) -> Session:
    """A file compiled for one image; what is not in integers is computed in float32, not in bfloat16.

    Raises:
        NetworkError: the file is missing or OpenVINO cannot load it.
    """
    import openvino

    if not path.is_file():
        raise NetworkError(f"there is no ONNX file {path}")
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
    try:
        model = core.read_model(path)
        model.reshape({source: _one_image(source.partial_shape) for source in model.inputs})
        compiled = core.compile_model(model, "CPU", options)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise NetworkError(f"OpenVINO cannot load {path}: {(lines or ['no reason given'])[-1]}") from error
    return Session(
        compiled=compiled,
        request=compiled.create_infer_request(),
        inputs=tuple(source.get_any_name() for source in compiled.inputs),
        outputs=tuple(result.get_any_name() for result in compiled.outputs),
    )


def _one_image(shape: Any) -> list[int]:
    return [1 if size.is_dynamic else size.get_length() for size in shape]


def run(session: Session, inputs: Array | Sequence[Array] | Mapping[str, Array]) -> Any:
    """What a file gives for examples, one after the other: one array, or arrays by name.

    Args:
        session: of `open_session`.
        inputs: an array, one for each input of the file in its order, or arrays by the names of inputs.
    """
    if isinstance(inputs, Mapping):
        each = [np.asarray(inputs[name]) for name in session.inputs]
    else:
        each = list(inputs) if isinstance(inputs, (tuple, list)) else [np.asarray(inputs)]
    count = len(each[0])
    parts: list[list[Array]] = [[] for _ in session.outputs]
    for index in range(count):
        images = [array[index : index + 1] if len(array) == count else array for array in each]
        given = session.request.infer({place: np.ascontiguousarray(image) for place, image in enumerate(images)})
        for place, part in enumerate(parts):
            part.append(np.array(given[place]))
    joined = {
        name: np.concatenate(part) if part[0].ndim else part[0]
        for name, part in zip(session.outputs, parts, strict=True)
    }
    return next(iter(joined.values())) if len(joined) == 1 else joined


def prepare(path: Path, threads: int, rng: np.random.Generator) -> Callable[[], object]:
    """One run of a file on random images or codes, in the calling thread where there is one."""
    import openvino

    session = open_session(path, threads=threads)
    for place, source in enumerate(session.compiled.inputs):
        kind, shape = source.get_element_type().to_dtype(), tuple(source.shape)
        values = rng.standard_normal(shape) if kind == np.float32 else rng.integers(0, 2, shape)
        session.request.set_input_tensor(place, openvino.Tensor(np.ascontiguousarray(values.astype(kind))))
    infer: Callable[[], object] = session.request.infer
    return infer


def kernels(path: Path) -> Kernels:
    """The layers of the graph as OpenVINO runs it, by its own account of types and precisions."""
    counts = {"convolutions": 0, "integer_convolutions": 0, "linear": 0, "integer_linear": 0}
    for operation in open_session(path).compiled.get_runtime_model().get_ops():
        facts = operation.get_rt_info()
        kind, precision = (str(facts[name].astype(str)) for name in ("layerType", "runtimePrecision"))
        for name, kinds in (("convolutions", _CONVOLUTIONS), ("linear", _LINEAR)):
            if kind in kinds:
                counts[name] += 1
                counts[f"integer_{name}"] += precision in _INTEGERS
    return Kernels(**counts)
