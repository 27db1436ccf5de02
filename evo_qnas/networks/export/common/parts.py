"""Parts of networks that become files of their own."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The part of a network that becomes a file, with its inputs and outputs.

    Attributes:
        upsample: with the up-sampling at the network's end.
        codes: uint8 codes in and out, as a block has them inside a network; else float images and logits.
        blocks: names of blocks to leave out: their outputs become inputs, their inputs outputs.
    """

    upsample: bool = False
    codes: bool = False
    blocks: tuple[str, ...] = ()
