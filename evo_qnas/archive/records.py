"""The records of a journal: a 16-byte magic, then `length, CRC-32, payload` each."""

import json
import struct
import zlib
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int

from evo_qnas.archive.evaluations import Evaluations, narrow

MAGIC = b"evo_qnas log  1\n"
_FRAME = struct.Struct("<II")
_SHAPE = struct.Struct("<BBHIQIIII")
_KINDS: tuple[np.dtype[Any], ...] = (np.dtype("u1"), np.dtype("<u2"), np.dtype("<i8"))
PLACED, EARLY, ASKED = 0, 1, 2


def payloads(content: bytes) -> Iterator[bytes]:
    """The whole records of a journal, the end at the first torn one."""
    if not content.startswith(MAGIC):
        return
    at = len(MAGIC)
    while at + _FRAME.size <= len(content):
        length, checksum = _FRAME.unpack_from(content, at)
        payload = content[at + _FRAME.size : at + _FRAME.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        at += _FRAME.size + length


def pack(kind: int, start: int, rows: Evaluations) -> bytes:
    """One record of evaluations, frame included."""
    genomes = narrow(rows.genomes)
    code = next(i for i, dtype in enumerate(_KINDS) if dtype.itemsize == genomes.dtype.itemsize)
    reasons = json.dumps({str(row): why for row, why in rows.reasons.items()}).encode() if rows.reasons else b""
    sizes = (rows.genomes.shape[1], rows.objectives.shape[1], rows.constraints.shape[1])
    payload = b"".join(
        (
            _SHAPE.pack(kind, code, 0, len(rows), start, *sizes, len(reasons)),
            genomes.astype(_KINDS[code], copy=False).tobytes(),
            *(part.astype(dtype, copy=False).tobytes() for part, dtype in zip(rows.parts[1:], _PARTS, strict=True)),
            reasons,
        )
    )
    return frame(payload)


_PARTS: tuple[np.dtype[Any], ...] = (np.dtype("<f8"), np.dtype("<f8"), np.dtype("<i4"), np.dtype("<f8"), np.dtype("u1"))


def unpack(payload: bytes) -> tuple[int, int, Evaluations]:
    """Kind, first row and evaluations of one record."""
    kind, code, _, n, start, blocks, m, k, length = _SHAPE.unpack_from(payload)
    shapes = ((n, blocks), (n, m), (n, k), (n,), (n,), (n,))
    dtypes = (_KINDS[min(code, len(_KINDS) - 1)], *_PARTS)
    need = sum(int(np.prod(shape, dtype=object)) * dtype.itemsize for shape, dtype in zip(shapes, dtypes, strict=True))
    if need + _SHAPE.size + length != len(payload):
        raise ValueError("a record whose length does not fit its shape")
    parts, at = [], _SHAPE.size
    for shape, dtype in zip(shapes, dtypes, strict=True):
        count = int(np.prod(shape, dtype=np.int64))
        parts.append(np.frombuffer(payload, dtype, count, at).reshape(shape))
        at += count * dtype.itemsize
    reasons = {int(row): str(why) for row, why in json.loads(payload[at:]).items()} if length else {}
    rows = Evaluations(
        genomes=parts[0].astype(np.int64),
        objectives=parts[1],
        constraints=parts[2],
        generation=parts[3],
        seconds=parts[4],
        state=parts[5],
        reasons=MappingProxyType(reasons),
    )
    return kind, start, rows


def frame(payload: bytes) -> bytes:
    """One record."""
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def pack_asks(start: int, asks: Int[np.ndarray, "e 2"]) -> bytes:
    """One record of events `start ..` of a search whose answers come in any order, see `Contents.asks`."""
    return frame(_SHAPE.pack(ASKED, 0, 0, len(asks), start, 0, 0, 0, 0) + asks.astype("<i8").tobytes())


def unpack_asks(payload: bytes) -> tuple[int, Int[np.ndarray, "e 2"]] | None:
    """First number and events of a record, None where it is one of evaluations."""
    kind, _, _, n, start, *_ = _SHAPE.unpack_from(payload)
    if kind != ASKED:
        return None
    return start, np.frombuffer(payload, "<i8", 2 * n, _SHAPE.size).reshape(n, 2).astype(np.int64)
