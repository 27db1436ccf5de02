"""Batches of examples in random order."""

from collections.abc import Iterator

import torch
from jaxtyping import Int


def batches(count: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Int[torch.Tensor, " batch"]]:
    """`steps` batches of indices; every example is drawn once before any is drawn again.

    Args:
        count: number of examples.
        size: of a batch; `count` where there are fewer examples.
        steps: number of batches.
        generator: decides the order.

    Example:
        >>> [len(batch) for batch in batches(3, 8, 2, torch.Generator().manual_seed(0))]
        [3, 3]
    """
    size = min(size, count)
    order, start = torch.randperm(count, generator=generator), 0
    for _ in range(steps):
        if start + size > count:
            order, start = torch.randperm(count, generator=generator), 0
        yield order[start : start + size]
        start += size
