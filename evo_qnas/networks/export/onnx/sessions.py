"""Sessions of ONNX Runtime on the CPU, and the kernels they use."""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.findings import Kernels

# Images of one run: bounds the memory of activations.
_BATCH = 256
# The severity from which ONNX Runtime logs.
_ERRORS_ONLY = 3
_INTEGER = {"QLinearConv": "convolutions", "QGemm": "linear", "QLinearMatMul": "linear"}
_FLOAT = {"Conv": "convolutions", "FusedConv": "convolutions", "Gemm": "linear", "MatMul": "linear"}


def open_session(path: Path, *, exact: bool = True, threads: int = 1, optimized: Path | None = None) -> Any:
    """A CPU session of an ONNX file.

    Args:
        path: the file.
        exact: on x86-64 processors without VNNI, sums of two 8-bit products overflow 16 bits and are cut off; `exact`
            sets `session.x64quantprecision`, which avoids that at some cost of time. Elsewhere it changes nothing.
        threads: threads of one run.
        optimized: where to write the optimised graph.

    Raises:
        NetworkError: the file is missing or ONNX Runtime cannot load it.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf

    if not path.is_file():
        raise NetworkError(f"there is no ONNX file {path}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", str(int(exact)))
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
        raise NetworkError(f"ONNX Runtime cannot load {path}: {str(error).splitlines()[0]}") from error


Given = Shaped[np.ndarray, "..."] | Sequence[Any] | Mapping[str, Any]


def run(session: Any, inputs: Given) -> Any:
    """What a file gives for any number of examples, computed in batches: one array, or arrays by name.

    Args:
        session: of `open_session`.
        inputs: an array, one for each input of the file in its order, or arrays by the names of inputs.
    """
    entries = session.get_inputs()
    if not isinstance(inputs, Mapping):
        each = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        inputs = {entry.name: array for entry, array in zip(entries, each, strict=True)}
    feed = {entry.name: np.asarray(inputs[entry.name]) for entry in entries}
    first = next(entry for entry in entries if entry.shape)
    fixed, count = first.shape[0], len(feed[first.name])
    size = fixed if isinstance(fixed, int) else _BATCH
    batched = {e.name for e in entries if e.shape and e.shape[0] == fixed and len(feed[e.name]) == count}
    names, pieces = [output.name for output in session.get_outputs()], []
    for start in range(0, count, size):
        end = start + size if isinstance(fixed, int) else min(start + size, count)
        rows = np.minimum(np.arange(start, end), count - 1)
        part = {name: array[rows] if name in batched else array for name, array in feed.items()}
        pieces.append(session.run(names, part))
    joined = [_joined([piece[index] for piece in pieces], count) for index in range(len(names))]
    return joined[0] if len(joined) == 1 else dict(zip(names, joined, strict=True))


def _joined(parts: list[Shaped[np.ndarray, "..."]], count: int) -> Shaped[np.ndarray, "..."]:
    """Results of pieces one behind the other, without what filled up the last piece."""
    if len(parts) == 1 or not parts[0].ndim:
        return parts[0]
    joined = np.concatenate(parts)
    return joined[: count * max(1, len(joined) // count)]


def run_exposed(
    path: Path, names: Mapping[str, str], inputs: Mapping[str, Shaped[np.ndarray, "..."]]
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], list[Shaped[np.ndarray, "..."]]]:
    """Tensors inside a file by the keys of their names, and the outputs, from a session that gives all of them.

    Args:
        path: of the file.
        names: of uint8 tensors.
        inputs: by name.
    """
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path)
    outputs = [value.name for value in model.graph.output]
    wanted = {key: name for key, name in names.items() if name not in outputs}
    for name in dict.fromkeys(wanted.values()):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UINT8, None))
    with tempfile.TemporaryDirectory() as folder:
        exposed = Path(folder) / "exposed.onnx"
        onnx.save(model, exposed)
        session = open_session(exposed)
        given = session.run([*outputs, *wanted.values()], dict(inputs))
    return dict(zip(wanted, given[len(outputs) :], strict=True)), given[: len(outputs)]


def optimized_operations(path: Path, *, exact: bool = True) -> Counter[str]:
    """Counts of the operations in the graph that ONNX Runtime makes of a file."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder) / "optimized.onnx"
        open_session(path, exact=exact, optimized=optimized)
        model = onnx.load(optimized)
    return Counter(node.op_type for node in model.graph.node)


def kernels(path: Path, *, exact: bool = True) -> Kernels:
    """The layers of a file's optimised graph."""
    operations = optimized_operations(path, exact=exact)
    counts = {"convolutions": 0, "linear": 0}
    integer = dict(counts)
    for name, count in operations.items():
        if name in _INTEGER:
            integer[_INTEGER[name]] += count
        if name in _INTEGER or name in _FLOAT:
            counts[{**_INTEGER, **_FLOAT}[name]] += count
    return Kernels(
        convolutions=counts["convolutions"],
        integer_convolutions=integer["convolutions"],
        linear=counts["linear"],
        integer_linear=integer["linear"],
    )


def prepare(path: Path, threads: int, rng: np.random.Generator) -> Callable[[], object]:
    """One run of a file on random images or codes, as a session of the defaults runs it."""
    session = open_session(path, exact=False, threads=threads)
    feed = {source.name: _random_input(source, rng) for source in session.get_inputs()}
    return lambda: session.run(None, feed)


def _random_input(source: Any, rng: np.random.Generator) -> np.ndarray:
    """One random image, or map of codes, for an input of a session; zeros where it takes other numbers."""
    shape = tuple(size if isinstance(size, int) else 1 for size in source.shape)
    if source.type == "tensor(uint8)":
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if source.type == "tensor(float)":
        return rng.standard_normal(shape, dtype=np.float32)
    return np.zeros(shape, dtype=source.type.removeprefix("tensor(").removesuffix(")"))
