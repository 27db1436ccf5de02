"""Building a TFLite file operator by operator, with the schema's own classes that `ai-edge-litert` brings along."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from jaxtyping import Float, Shaped

_ALIGNMENT = 16
_IDENTIFIER = b"TFL3"
# The least version of an operator's definition that knows 8-bit integers, as the runtime's registry numbers them.
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 12,
    "RESIZE_BILINEAR": 3,
    "DEQUANTIZE": 2,
    "ADD": 2,
    "SUB": 2,
    "MUL": 2,
    "CONCATENATION": 2,
    "MEAN": 2,
    "PAD": 2,
    "PADV2": 2,
    "MAXIMUM": 2,
    "MAX_POOL_2D": 2,
    "AVERAGE_POOL_2D": 2,
    "QUANTIZE": 2,
    "RESIZE_NEAREST_NEIGHBOR": 2,
    "STRIDED_SLICE": 2,
    "TRANSPOSE": 2,
    "TRANSPOSE_CONV": 3,
    "GATHER": 2,
    "MINIMUM": 2,
    "REDUCE_MAX": 2,
    "REDUCE_MIN": 2,
    "MIRROR_PAD": 2,
    "BROADCAST_TO": 3,
    "TILE": 2,
    "REVERSE_V2": 3,
}
_NUMPY = {"float32": "FLOAT32", "int32": "INT32", "bool": "BOOL", "int8": "INT8"}


@final
@dataclass(frozen=True, slots=True)
class Content:
    """A buffer of the file: bytes at an address that any processor can read numbers from."""

    content: bytes

    def Pack(self, builder: Any) -> Any:  # noqa: N802, the schema's classes call it so
        """Writes the buffer; called by the schema's classes."""
        from ai_edge_litert import schema_py_generated as schema

        data = None
        if self.content:
            builder.Prep(_ALIGNMENT, len(self.content))
            data = builder.CreateByteVector(self.content)
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@final
class TfliteBuilder:
    """A TFLite graph in the making; tensors are known by their index."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated

        self.schema: Any = schema_py_generated
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self._codes: list[tuple[int, int]] = []
        self._buffers = [Content(b"")]
        # What operators before may have made already: named constants, and the floats of codes.
        self.named: dict[str, Any] = {}
        self.floats: dict[int, int] = {}
        self._shared: dict[tuple[str, tuple[int, ...], bytes], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        *,
        step: float | Float[np.ndarray, " channels"] | None = None,
        zero: int = 0,
        axis: int = 0,
        content: bytes = b"",
    ) -> int:
        """Adds a tensor.

        Args:
            name: in the file.
            shape: with the batch, 1, where it has one.
            kind: a name of the schema's `TensorType`.
            step: of all its codes, or of each channel along `axis`; None where its numbers are what they are.
            zero: zero point.
            axis: of channels.
            content: numbers of a constant, as the file holds them.
        """
        quantization = None
        if step is not None:
            steps = np.atleast_1d(np.asarray(step, dtype=np.float32))
            zeros = np.full(len(steps), zero, dtype=np.int64)
            quantization = self.schema.QuantizationParametersT(scale=steps, zeroPoint=zeros, quantizedDimension=axis)
        buffer = 0
        if content:
            buffer = len(self._buffers)
            self._buffers.append(Content(content))
        made = self.schema.TensorT(
            shape=np.asarray(shape, dtype=np.int32),
            type=getattr(self.schema.TensorType, kind),
            buffer=buffer,
            name=name,
            quantization=quantization,
            hasRank=True,
        )
        self.tensors.append(made)
        return len(self.tensors) - 1

    def numbers(self, values: Any) -> int:
        """A constant of int32 numbers; equal ones are stored once."""
        return self.array(np.asarray(values, dtype=np.int32))

    def array(self, values: Any) -> int:
        """A constant without a name (float32, int32, int8 or bool numbers of numpy); equal ones are stored once."""
        return self._constant(np.ascontiguousarray(values).reshape(values.shape), _NUMPY[str(values.dtype)])

    def codes(self, value: int, step: float, zero: int) -> int:
        """A constant of one int8 code."""
        return self.tensor("code", (), "INT8", step=step, zero=zero, content=np.int8(value).tobytes())

    def _constant(self, values: Shaped[np.ndarray, "..."], kind: str) -> int:
        key = (kind, values.shape, values.tobytes())
        if key not in self._shared:
            self._shared[key] = self.tensor(f"c{len(self._shared)}", values.shape, kind, content=values.tobytes())
        return self._shared[key]

    def operator(self, code: str, inputs: Sequence[int], output: int, options: Any = None) -> int:
        """Adds an operator; gives its output."""
        schema = self.schema
        number, version = getattr(schema.BuiltinOperator, code), _VERSIONS.get(code, 1)
        if (number, version) not in self._codes:
            self._codes.append((number, version))
        made = schema.OperatorT(
            opcodeIndex=self._codes.index((number, version)),
            inputs=np.asarray(inputs, dtype=np.int32),
            outputs=np.asarray([output], dtype=np.int32),
        )
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.operators.append(made)
        return output

    def content(self, *, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """The file, with one signature; inputs and outputs are tensors by their names."""
        schema = self.schema
        maps = [[schema.TensorMapT(name=n, tensorIndex=i) for n, i in named.items()] for named in (inputs, outputs)]
        # Readers of files older than 2020 look for small numbers of operators in a field of their own.
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=min(number, 127), builtinCode=number, version=version)
            for number, version in self._codes
        ]
        graph = schema.SubGraphT(
            name="network",
            tensors=self.tensors,
            inputs=list(inputs.values()),
            outputs=list(outputs.values()),
            operators=self.operators,
        )
        signature = schema.SignatureDefT(signatureKey="serving_default", inputs=maps[0], outputs=maps[1])
        model = schema.ModelT(
            version=3,
            description="evo_qnas",
            operatorCodes=codes,
            subgraphs=[graph],
            buffers=self._buffers,
            signatureDefs=[signature],
        )
        return packed(model)


def packed(model: Any) -> bytes:
    """The file of a model of the schema's classes."""
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
