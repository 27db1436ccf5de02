"""Why a candidate operator does not fit a block."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Misfit:
    """What a builder gives instead of a module where its operator does not fit a block.

    Attributes:
        reason: in words.
        broken: building it raised an error.
    """

    reason: str = "its card says that it does not fit"
    broken: bool = False
