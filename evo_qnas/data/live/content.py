"""Digests of data and of models that change when their numbers change."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from evo_qnas.fingerprints import digest

_PIECE = 2**26  # values hashed at a time: bounds the memory of a digest


def tensor_digest(tensor: torch.Tensor) -> str:
    """A digest of type, shape and numbers; memory-mapped tensors are read piece by piece."""
    mark = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)} ".encode())
    flat = tensor.detach().cpu().reshape(-1)
    for piece in flat.split(_PIECE):
        mark.update(piece.contiguous().view(torch.uint8).numpy().tobytes())
    return mark.hexdigest()


def content_of(value: Any, items: Iterable[Any] = (), *further: Any) -> str:
    """A digest of data: an object and what it holds, some of its items, and further callables.

    Args:
        value: tensors and arrays by their numbers, an object of Hugging Face by its own fingerprint, any other by
            what `fingerprints.digest` covers.
        items: read from it.
        further: what else the data depend on.
    """
    mark = hashlib.sha256()
    own = getattr(value, "_fingerprint", None)
    mark.update(own.encode() if isinstance(own, str) else _described(value).encode())
    for item in items:
        mark.update(_described(item).encode())
    for each in further:
        mark.update(digest(each).encode())
    return mark.hexdigest()[:32]


def _described(value: Any) -> str:
    """The digest of a nest whose tensors and arrays are hashed as they are, everything else by `digest`."""
    found, spec = pytree.tree_flatten(value)
    texts = [str(spec)]
    for leaf in found:
        if isinstance(leaf, np.ndarray) and not leaf.dtype.hasobject and leaf.dtype.kind in "biufc":
            texts.append(tensor_digest(torch.from_numpy(np.ascontiguousarray(leaf))))
        elif isinstance(leaf, torch.Tensor):
            texts.append(tensor_digest(leaf))
        else:
            texts.append(digest(leaf))
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()
