"""Integer codes of 2..8 bits as a dense stream of bits."""

from math import prod

import numpy as np
import torch
from jaxtyping import Int, UInt8


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take.

    Example:
        >>> packed_bytes(9, 3)
        4
    """
    return (count * bits + 7) // 8


def pack(codes: Int[torch.Tensor, "*shape"], bits: int) -> UInt8[torch.Tensor, " bytes"]:
    """Signed codes, each within `bits` bits (two's complement), as one stream, first code in the highest bits."""
    unsigned = (codes.flatten().numpy(force=True) & (2**bits - 1)).astype(np.uint8)
    rows = np.unpackbits(unsigned[:, None], axis=1)[:, 8 - bits :]
    return torch.from_numpy(np.packbits(rows.reshape(-1)))


def unpack(packed: UInt8[torch.Tensor, " bytes"], bits: int, shape: tuple[int, ...]) -> Int[torch.Tensor, "*shape"]:
    """The signed codes that `pack` packed, int64."""
    stream = np.unpackbits(packed.numpy(force=True))[: prod(shape) * bits].reshape(-1, bits)
    weights = 2 ** np.arange(bits - 1, -1, -1, dtype=np.int64)
    weights[0] = -weights[0]
    return torch.from_numpy((stream.astype(np.int64) * weights).sum(axis=1)).reshape(shape)
