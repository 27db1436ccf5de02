"""Channels that stay or go together, as disjoint sets."""

from typing import final

import numpy as np
import torch
from jaxtyping import Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# The class of what never goes: inputs, outputs, and whatever is tied to them.
STAYS = 0


def distinct(labels: Int[torch.Tensor, "*shape"]) -> Int[torch.Tensor, "*smaller"]:
    """A tensor of labels without what is only spread: its axes of stride 0 have one place."""
    for axis, (size, stride) in enumerate(zip(labels.shape, labels.stride(), strict=True)):
        if size > 1 and stride == 0:
            labels = labels.narrow(axis, 0, 1)
    return labels


@final
class Classes:
    """Disjoint sets of channels. A channel is a number; those of one set have one root, the smallest of them.

    Example:
        >>> classes = Classes()
        >>> one, other = classes.add(2), classes.add(2)
        >>> classes.merge(one, other)
        >>> classes.roots(other).tolist()
        [1, 2]
    """

    def __init__(self) -> None:
        self._root = np.zeros(1, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._root)

    def add(self, count: int) -> Int[torch.Tensor, " count"]:
        """New channels, each a set of its own."""
        first = len(self._root)
        self._root = np.append(self._root, np.arange(first, first + count))
        return torch.arange(first, first + count, device="cpu")

    def roots(self, labels: Int[torch.Tensor, "*shape"]) -> Int[torch.Tensor, "*shape"]:
        """The root of each channel, in the same shape."""
        small = distinct(labels)
        found = torch.from_numpy(np.asarray(self._root[small.numpy()]))
        return found.expand(labels.shape)

    def merge(self, one: Int[torch.Tensor, "*a"], other: Int[torch.Tensor, "*b"]) -> None:
        """Joins the sets of channels that stand at the same place; shapes are broadcast."""
        first, second = _aligned(one, other)
        pairs = self._root[np.stack([first.reshape(-1).numpy(), second.reshape(-1).numpy()])]
        pairs = np.unique(pairs[:, pairs[0] != pairs[1]], axis=1)
        if not pairs.size:
            return
        size = len(self._root)
        joined = coo_matrix((np.ones(pairs.shape[1], dtype=np.int8), (pairs[0], pairs[1])), shape=(size, size))
        count, component = connected_components(joined, directed=False)
        smallest = np.full(count, size, dtype=np.int64)
        np.minimum.at(smallest, component, np.arange(size))
        self._root = smallest[component[self._root]]

    def pin(self, labels: Int[torch.Tensor, "*shape"]) -> None:
        """Makes channels stay."""
        self.merge(labels, torch.tensor(STAYS, device="cpu"))

    def is_spread(self, labels: Int[torch.Tensor, "*shape"], axis: int) -> bool:
        """True where the classes along an axis are all the same."""
        if labels.shape[axis] < 2 or labels.stride(axis) == 0:
            return True
        roots = self.roots(labels)
        return bool((roots == roots.narrow(axis, 0, 1)).all())


def _aligned(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both in one shape, in which axes along which both are spread have one place."""
    first, second = torch.broadcast_tensors(one, other)
    for axis in range(first.ndim):
        if first.stride(axis) == second.stride(axis) == 0 and first.shape[axis] > 1:
            first, second = first.narrow(axis, 0, 1), second.narrow(axis, 0, 1)
    return first, second
