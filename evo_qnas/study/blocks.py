"""Blocks of a model, by name or found."""

from collections.abc import Sequence

from torch import nn

from evo_qnas.data import Splits
from evo_qnas.networks.candidates.finding import auto_blocks
from evo_qnas.study.inputs import example_of


def found_blocks(model: nn.Module, blocks: Sequence[str] | str, splits: Splits) -> tuple[str, ...]:
    """The names of blocks; `auto` takes those that `auto_blocks` finds.

    Raises:
        NetworkError: nothing is found.
    """
    if blocks != "auto":
        return (blocks,) if isinstance(blocks, str) else tuple(blocks)
    return auto_blocks(model, example_of(splits))
