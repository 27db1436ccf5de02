"""Nests of tensors: one tensor, or tuples, lists, dicts and registered classes of them, as models take and give."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.utils import _pytree as pytree

Nest = Any


def leaves(nest: Nest) -> list[torch.Tensor]:
    """The tensors of a nest in order; what is no tensor is left out.

    Example:
        >>> [tuple(leaf.shape) for leaf in leaves({"boxes": torch.zeros(2, 4), "names": None})]
        [(2, 4)]
    """
    if isinstance(nest, torch.Tensor):
        return [nest]
    return [leaf for leaf in pytree.tree_leaves(nest) if isinstance(leaf, torch.Tensor)]


def mapped(function: Callable[[torch.Tensor], Any], nest: Nest) -> Nest:
    """The same nest with `function` of each tensor in its place."""
    if isinstance(nest, torch.Tensor):
        return function(nest)
    return pytree.tree_map(lambda leaf: function(leaf) if isinstance(leaf, torch.Tensor) else leaf, nest)


def length(nest: Nest) -> int:
    """Number of examples: rows of the first tensor."""
    return len(leaves(nest)[0])


def moved(nest: Nest, device: str) -> Nest:
    """The same nest on a device."""
    return mapped(lambda leaf: leaf.to(device), nest)


def rows(nest: Nest, chosen: Any) -> Nest:
    """The chosen examples (indices or a slice) of every tensor."""
    return mapped(lambda leaf: leaf[chosen], nest)


def parts(nest: Nest, size: int) -> tuple[Nest, ...]:
    """The examples in order, `size` at a time."""
    if isinstance(nest, torch.Tensor):
        return tuple(nest.split(size))
    return tuple(rows(nest, slice(start, start + size)) for start in range(0, length(nest), size))


def joined(nests: Sequence[Nest]) -> Nest:
    """Nests of one shape, their examples one behind the other."""
    first = nests[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(list(nests))
    columns: Iterator[tuple[Any, ...]] = zip(*(pytree.tree_leaves(nest) for nest in nests), strict=True)
    made = [torch.cat(list(column)) if isinstance(column[0], torch.Tensor) else column[0] for column in columns]
    return pytree.tree_unflatten(made, pytree.tree_structure(first))


def call(network: nn.Module, inputs: Nest) -> Any:
    """What a network gives for inputs: one tensor, the arguments in a tuple, or keyword arguments in a dict.

    Example:
        >>> call(nn.Bilinear(2, 2, 1), (torch.zeros(3, 2), torch.zeros(3, 2))).shape
        torch.Size([3, 1])
    """
    if isinstance(inputs, tuple):
        return network(*inputs)
    if isinstance(inputs, dict):
        return network(**inputs)
    return network(inputs)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """The shape of a nest: where its tensors go, and what else stands in it.

    Attributes:
        spec: of all leaves.
        others: leaves that are no tensors, in their places; `Structure` itself stands for a tensor.
    """

    spec: pytree.TreeSpec
    others: tuple[Any, ...]

    @classmethod
    def of(cls, nest: Nest) -> "Structure":
        """The structure of a nest."""
        found, spec = pytree.tree_flatten(nest)
        return cls(spec=spec, others=tuple(Structure if isinstance(leaf, torch.Tensor) else leaf for leaf in found))

    def restored(self, nest: Nest) -> Nest:
        """The tensors of another nest in this structure; the nest as it is where it has another number of them.

        Example:
            >>> Structure.of({"a": torch.zeros(1), "b": None}).restored([torch.ones(2)])
            {'a': tensor([1., 1.]), 'b': None}
        """
        tensors = leaves(nest)
        if len(tensors) != sum(other is Structure for other in self.others):
            return nest
        waiting = iter(tensors)
        filled = [next(waiting) if other is Structure else other for other in self.others]
        return pytree.tree_unflatten(filled, self.spec)
