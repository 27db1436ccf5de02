"""Running networks on examples of any nesting, piece by piece where a network takes a fixed number of examples."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from evo_qnas.networks.capture.exporting import Example, arguments_of_example, batch_size

__all__ = ["Run", "in_pieces", "run_on"]


def run_on(network: nn.Module, example: Example) -> Any:
    """What a network gives for a tensor, a tuple of arguments or a mapping of arguments by name."""
    arguments, keywords = arguments_of_example(example)
    return network(*arguments, **keywords)


Run = Callable[[tuple[Any, ...], dict[str, Any]], Any]


def in_pieces(run: Run, size: int, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What `run` gives for `size` examples at a time, joined; the last piece is filled up with its last example."""
    count = batch_size((arguments, keywords))
    leaves, given = pytree.tree_flatten((arguments, keywords))
    batched = [isinstance(leaf, torch.Tensor) and leaf.ndim > 0 and len(leaf) == count for leaf in leaves]
    results: list[list[Any]] = []
    taken: Any = None
    for start in range(0, count, size):
        rows = torch.arange(start, start + size).clamp_max(count - 1)
        piece = [leaf[rows] if own else leaf for leaf, own in zip(leaves, batched, strict=True)]
        given_arguments, given_keywords = pytree.tree_unflatten(piece, given)
        result, taken = pytree.tree_flatten(run(given_arguments, given_keywords))
        results.append(result)
    joined = [_joined([result[index] for result in results], count, size) for index in range(len(results[0]))]
    return pytree.tree_unflatten(joined, taken)


def _joined(parts: list[Any], count: int, size: int) -> Any:
    first = parts[0]
    if not isinstance(first, torch.Tensor) or not first.ndim or len(first) % size:
        return first
    each = len(first) // size
    return torch.cat(parts)[: count * each]
