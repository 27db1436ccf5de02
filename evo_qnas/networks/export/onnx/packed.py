"""Weights of fewer than 8 bits inside an ONNX file: a dense stream of bits, unpacked by standard operations at load."""

from typing import Any

from evo_qnas.networks.export.onnx.builder import DOMAIN, OPSET, GraphBuilder
from evo_qnas.networks.quantization.packing import pack
from evo_qnas.networks.quantization.quantizers import QuantizedLayer

UNPACK = "Unpack"
# Between signed codes of 8 bits and those without sign.
OFFSET = 128


def weight_codes(builder: GraphBuilder, layer: QuantizedLayer) -> str:
    """Adds a layer's weight codes; gives the name of the int8 tensor (out, ...).

    8-bit codes are stored as they are, from 0 where several nodes read them; fewer bits as `pack` packs them, with an
    `Unpack` node behind them.
    """
    codes, name = layer.weight_codes(), f"{layer.owner.name}.codes"
    if layer.bits == 8 and is_read_often(layer):
        return builder.stored(name, (codes.numpy(force=True) + OFFSET).astype("uint8"))
    if layer.bits == 8:
        return builder.stored(name, codes.numpy(force=True).astype("int8"))
    packed = builder.stored(name, pack(codes, layer.bits).numpy()[:, None])
    values = [[2**bit] for bit in range(layer.bits - 1, -1, -1)]
    values[0] = [-values[0][0]]
    return builder.node(
        UNPACK,
        packed,
        builder.constant(values, "int32"),
        builder.constant(tuple(codes.shape), "int64"),
        domain=DOMAIN,
    )


def is_read_often(layer: QuantizedLayer) -> bool:
    """True where several nodes of a file read the weights of a layer.

    ONNX Runtime rewrites signed 8-bit weights on processors without VNNI, which fails where two nodes share them;
    weights without sign it leaves.
    """
    return layer.shared or layer.calls > 1


def unpack_function() -> Any:
    """The ONNX function `Unpack(packed, places, shape)`: standard operations on constants, folded at load.

    `packed` is (bytes, 1) uint8, `places` (bits, 1) int32 the value of each bit, `shape` (dimensions,) int64.
    """
    from onnx import parser

    return parser.parse_function(
        f"""
        <opset_import: ["" : {OPSET}], domain: "{DOMAIN}">
        {UNPACK} (packed, places, shape) => (codes)
        {{
            shifts = Constant <value = uint8[8] {{7, 6, 5, 4, 3, 2, 1, 0}}> ()
            one = Constant <value = uint8 {{1}}> ()
            zero = Constant <value_ints = [0]> ()
            rest = Constant <value_ints = [-1]> ()
            shifted = BitShift <direction = "RIGHT"> (packed, shifts)
            single = BitwiseAnd (shifted, one)
            stream = Reshape (single, rest)
            count = ReduceProd <keepdims = 1> (shape)
            width = Shape <start = 0, end = 1> (places)
            total = Mul (count, width)
            used = Slice (stream, zero, total)
            table = Concat <axis = 0> (rest, width)
            rows = Reshape (used, table)
            wide = Cast <to = 6> (rows)
            sums = MatMul (wide, places)
            narrow = Cast <to = 3> (sums)
            codes = Reshape (narrow, shape)
        }}
        """
    )
