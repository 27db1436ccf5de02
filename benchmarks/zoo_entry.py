"""An architecture of the zoo as a value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from torch import nn

CLASSES: Final = 100  # of classifiers, where a library lets one choose


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One architecture of the zoo.

    Attributes:
        name: of the row.
        library: that publishes it.
        kind: what it is.
        build: makes it, with random weights.
        shape: of one input, without the batch.
        tokens: the input are numbers of words below this, 0 for floats.
        output: path of keys to the output that is chosen, () for the network as it is.
        axis: of the classes in the chosen output.
    """

    name: str
    library: str
    kind: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: int = 0
    output: tuple[str | int, ...] = ()
    axis: int = 1
