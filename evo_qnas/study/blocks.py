"""Blocks of a model, by name or found."""

from collections.abc import Sequence

from torch import nn

from evo_qnas.data import Splits
from evo_qnas.errors import NetworkError


def found_blocks(model: nn.Module, blocks: Sequence[str] | str, splits: Splits) -> tuple[str, ...]:
    """The names of blocks; `auto` takes the children of the model's body that have weights.

    Raises:
        NetworkError: nothing fits.
    """
    if blocks != "auto":
        return (blocks,) if isinstance(blocks, str) else tuple(blocks)
    raise NetworkError("blocks = 'auto' is not there yet: name submodules of the model")
