"""Interpreters of LiteRT for Microcontrollers, and of LiteRT's reference kernels, which give the same bits."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Shaped

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.tflite.interpreters import in_torch_order

Array = Shaped[np.ndarray, "..."]
# Of an interpreter: more than any map that fits a microcontroller, and taken from the system only once it is used.
ARENA_BYTES = 256 * 2**20
_KINDS = ("FLOAT32", "INT8", "UINT8", "INT16", "INT32", "INT64", "BOOL")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An input or output of a file.

    Attributes:
        name: in the file.
        shape: with the one image.
        kind: type of its numbers.
        step: of its codes, 0 where it has floats or whole numbers of its own.
        zero: their zero point.
    """

    name: str
    shape: tuple[int, ...]
    kind: Any
    step: float
    zero: int

    def codes(self, values: Array) -> Array:
        """Values as the file takes them, rounded as the network's first quantizer rounds."""
        if not self.step:
            return np.ascontiguousarray(values.astype(self.kind))
        bounds = np.iinfo(self.kind)
        codes = np.rint(values.astype(np.float32) / np.float32(self.step)) + self.zero
        return np.ascontiguousarray(np.clip(codes, bounds.min, bounds.max).astype(self.kind))

    def floats(self, values: Array) -> Array:
        """What the file gives, as numbers."""
        if not self.step:
            return values
        return ((values.astype(np.float32) - np.float32(self.zero)) * np.float32(self.step)).astype(np.float32)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A file that is ready to run, one image at a time.

    Attributes:
        inputs: of the file.
        outputs: of the file.
        invoke: from the codes of each input to those of each output.
    """

    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    invoke: Callable[[Sequence[Array]], list[Array]]


def open_micro(path: Path) -> Session:
    """A session of LiteRT for Microcontrollers.

    Raises:
        NetworkError: the file is missing, or an operator has no kernel there.
    """
    content = _read(path)
    try:
        return _micro(content)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[:1] or ["no reason given"]
        raise NetworkError(f"LiteRT for Microcontrollers cannot load {path}: {reason[0]}") from error


def open_reference(path: Path) -> Session:
    """A session of LiteRT with its reference kernels, whose bits those of microcontrollers and NPUs are to be.

    Raises:
        NetworkError: the file is missing or cannot be loaded.
    """
    content = _read(path)
    try:
        return _reference(content)
    except (RuntimeError, ValueError) as error:
        raise NetworkError(f"LiteRT cannot load {path}: {error}") from error


def run(session: Session, inputs: Array | Sequence[Array] | Mapping[str, Array]) -> Any:
    """What a file gives for examples, one after the other: one array, or arrays by name; as torch has them.

    Args:
        session: of the file.
        inputs: an array of numbers, one for each input, or arrays by the names of inputs.
    """
    if isinstance(inputs, Mapping):
        each = [np.asarray(inputs[end.name]) for end in session.inputs]
    else:
        each = list(inputs) if isinstance(inputs, (tuple, list)) else [np.asarray(inputs)]
    parts: list[list[Array]] = [[] for _ in session.outputs]
    count = len(each[0])
    for index in range(count):
        images = [array[index : index + 1] if len(array) == count else array for array in each]
        moved = [np.moveaxis(image, 1, -1) if image.ndim == 4 else image for image in images]
        given = [end.codes(image).reshape(end.shape) for end, image in zip(session.inputs, moved, strict=True)]
        for part, end, made in zip(parts, session.outputs, session.invoke(given), strict=True):
            part.append(end.floats(made))
    joined = {end.name: in_torch_order(part) for end, part in zip(session.outputs, parts, strict=True)}
    return next(iter(joined.values())) if len(joined) == 1 else joined


def prepare(path: Path, threads: int, rng: np.random.Generator) -> Callable[[], object]:
    """One run of a file on random codes; there is one thread."""
    session = open_micro(path)
    given = [end.codes(rng.standard_normal(end.shape, dtype=np.float32)) for end in session.inputs]
    return lambda: session.invoke(given)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise NetworkError(f"there is no TFLite file {path}")
    return path.read_bytes()


def ends_of(content: bytes) -> tuple[tuple[End, ...], tuple[End, ...]]:
    """Inputs and outputs of a file, in its order."""
    from ai_edge_litert import schema_py_generated as schema

    graph: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content)).subgraphs[0]
    kinds = {getattr(schema.TensorType, name): np.dtype(name.lower()).type for name in _KINDS}
    inputs, outputs = (tuple(_end(graph.tensors[i], kinds) for i in side) for side in (graph.inputs, graph.outputs))
    return inputs, outputs


def _end(tensor: Any, kinds: Mapping[int, Any]) -> End:
    kind = kinds[tensor.type]
    steps: Any = ()
    zeros: Any = ()
    if kind in (np.int8, np.uint8, np.int16) and tensor.quantization is not None:
        steps, zeros = tensor.quantization.scale, tensor.quantization.zeroPoint
    return End(
        name=tensor.name.decode() if isinstance(tensor.name, bytes) else str(tensor.name),
        shape=tuple(int(size) for size in tensor.shape),
        kind=kind,
        step=float(steps[0]) if np.size(steps) else 0.0,
        zero=int(zeros[0]) if np.size(steps) else 0,
    )


def _micro(content: bytes) -> Session:
    from tflite_micro.python.tflite_micro.runtime import Interpreter

    interpreter: Any = Interpreter.from_bytes(content, arena_size=ARENA_BYTES)
    inputs, outputs = ends_of(content)

    def invoke(given: Sequence[Array]) -> list[Array]:
        for index, array in enumerate(given):
            interpreter.set_input(array, index)
        interpreter.invoke()
        return [np.array(interpreter.get_output(index)) for index in range(len(outputs))]

    return Session(inputs=inputs, outputs=outputs, invoke=invoke)


def _reference(content: bytes) -> Session:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter: Any = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    inputs, outputs = ends_of(content)

    def invoke(given: Sequence[Array]) -> list[Array]:
        for source, array in zip(interpreter.get_input_details(), given, strict=True):
            interpreter.set_tensor(source["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(result["index"]) for result in interpreter.get_output_details()]

    return Session(inputs=inputs, outputs=outputs, invoke=invoke)
