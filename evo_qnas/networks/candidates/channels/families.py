"""Families of channels that compete for their place in a block, and which of them stay."""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import fx

from evo_qnas.networks.candidates.channels.classes import STAYS, Classes
from evo_qnas.networks.candidates.channels.labelling import Labelling, Made, Read
from evo_qnas.networks.candidates.channels.tracing import name_of

# Operations on each channel alone, and changes of shape, between a layer and the sum with a shortcut.
_BESIDE_SUMS = frozenset(
    [
        "batch_norm",
        "layer_norm",
        "group_norm",
        "dropout",
        "feature_dropout",
        "clone",
        "contiguous",
        "mul",
        "permute",
        "transpose",
        "view",
        "reshape",
    ]
)
_SUMS = frozenset({"add", "sub"})


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Classes of channels that the same layers make.

    Attributes:
        layers: names of the weights that make them, in the order in which they run.
        classes: roots of the classes, in the order of the first layer's channels.
        channels: how many channels of the first layer each class has: 1 of plain layers, a head or a group as a whole.
        importance: of each class, what the layers that read it would lose.
        joined: other families are read by the same layer, as branches that are concatenated.
        residual: what reads them is added to a shortcut, which passes without them.
        window: places of a map that the layers which make and read them see, along the longest axis.
    """

    layers: tuple[str, ...]
    classes: Int[torch.Tensor, " classes"]
    channels: int
    importance: Float[torch.Tensor, " classes"]
    joined: bool
    residual: bool
    window: int

    @property
    def width(self) -> int:
        """Channels of the first layer that may go."""
        return len(self.classes) * self.channels


def families_of(state: Labelling) -> tuple[Family, ...]:
    """The families of a block, each of at least two classes, in the order of the layers that make them."""
    together = Classes()
    together.add(len(state.classes) - 1)
    free = []
    for made in state.made:
        roots = state.classes.roots(made.channels)
        roots = roots[roots != STAYS]
        if len(roots):
            together.merge(roots, roots[:1])
            free.append((made, roots))
    importance = _importance(state)
    readers: dict[int, list[Read]] = {}
    for read in state.read:
        for root in _families_at(state, together, read):
            readers.setdefault(root, []).append(read)
    found: dict[int, list[tuple[Made, torch.Tensor]]] = {}
    for made, roots in free:
        found.setdefault(int(together.roots(roots[:1])), []).append((made, roots))
    families = []
    for root, makers in found.items():
        roots = makers[0][1]
        classes = torch.from_numpy(_in_order(roots.numpy()))
        if len(classes) < 2:
            continue
        reading = readers.get(root, [])
        families.append(
            Family(
                layers=tuple(made.name for made, _ in makers),
                classes=classes,
                channels=max(1, len(roots) // len(classes)),
                importance=importance[classes],
                joined=any(len(_families_at(state, together, read)) > 1 for read in reading),
                residual=any(_is_added(read.node) for read in reading),
                window=max([made.window for made, _ in makers] + [read.window for read in reading]),
            )
        )
    return tuple(families)


def kept_channels(width: int, keep: int, multiple: int) -> int:
    """`keep` percent of `width` channels, rounded to a multiple, at least one multiple."""
    return max(multiple, round(width * keep / 100 / multiple) * multiple)


def kept_classes(family: Family, keep: int, multiple: int) -> Int[torch.Tensor, " kept"] | None:
    """Roots of the most important classes of a family, in order; None where all stay.

    Classes of as many channels as the multiple or more, heads for example, are counted themselves.
    """
    count = len(family.classes)
    if family.channels >= multiple:
        stay = max(1, round(count * keep / 100))
    else:
        stay = max(1, round(kept_channels(family.width, keep, multiple) / family.channels))
    if stay >= count:
        return None
    return family.classes[torch.sort(torch.topk(family.importance, stay).indices).values]


def _importance(state: Labelling) -> Float[torch.Tensor, " labels"]:
    """Of each class the root of the summed squares of what its channels mean to the layers that read them."""
    total = torch.zeros(len(state.classes), device="cpu", dtype=torch.float64)
    for read in state.read:
        total.index_add_(0, state.classes.roots(read.channels), read.influence.double() ** 2)
    return total.sqrt()


def _families_at(state: Labelling, together: Classes, read: Read) -> list[int]:
    """The families that a layer reads."""
    roots = state.classes.roots(read.channels)
    return sorted({int(root) for root in together.roots(roots[roots != STAYS])})


def _in_order(roots: Any) -> Any:
    """Different roots in the order in which they come first."""
    unique, first = np.unique(roots, return_index=True)
    return unique[np.argsort(first)]


def _is_added(node: fx.Node) -> bool:
    """True where a layer's result is added to what is not made of it, by operations on each channel alone at most."""
    waiting = [node]
    for result in waiting:
        for reader in result.users:
            name = name_of(reader)
            others = [argument for argument in reader.all_input_nodes if argument is not result]
            if name in _SUMS and others and not any(_is_made_of(other, node) for other in others):
                return True
            if name in _BESIDE_SUMS and reader.args[0] is result:
                waiting.append(reader)
    return False


def _is_made_of(node: fx.Node, source: fx.Node) -> bool:
    waiting, known = [node], {node}
    for result in waiting:
        if result is source:
            return True
        fresh = [argument for argument in result.all_input_nodes if argument not in known]
        waiting += fresh
        known.update(fresh)
    return False
