"""Hashes of parts that cannot run into each other."""

import hashlib
from collections.abc import Iterable

import numpy as np
from jaxtyping import Shaped


def hashed(*parts: str | bytes | int) -> bytes:
    """The SHA-256 of parts, each with its length and kind."""
    mark = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode("utf-8", "surrogatepass")
        mark.update(f"{type(part).__name__} {len(content)} ".encode())
        mark.update(content)
    return mark.digest()


def hashed_set(parts: Iterable[bytes]) -> bytes:
    """The hash of parts whose order does not count."""
    return hashed("set", *sorted(parts))


def hashed_array(values: Shaped[np.ndarray, "..."]) -> bytes:
    """The hash of an array's type, shape and numbers, whatever their order in memory."""
    mark = hashlib.sha256(f"{values.dtype} {values.shape} ".encode())
    mark.update(np.ascontiguousarray(values).tobytes())
    return mark.digest()
