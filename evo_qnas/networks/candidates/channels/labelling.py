"""Labels of all values of a block: which channel each of their elements belongs to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import fx

from evo_qnas.networks.candidates.channels.classes import STAYS, Classes
from evo_qnas.networks.candidates.channels.tracing import Trace, name_of

Labels = Int[torch.Tensor, "*shape"]
# From a node to the labels of what it gives: a tensor, or a tuple of tensors.
Rule = Callable[["Labelling", fx.Node], Any]

# Larger constants are taken for tables whose elements stay, so that no block costs seconds to follow.
_LARGEST_CONSTANT = 1 << 18
# Points of the numeric integral over -4 .. 4 standard deviations.
_GRID = 129


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Channels that a layer makes.

    Attributes:
        name: of its weight in the block.
        axis: of the weight that the channels are.
        channels: their labels.
        window: places of a map that one of its values sees, along the longest axis, with a filter before it.
    """

    name: str
    axis: int
    channels: Int[torch.Tensor, " width"]
    window: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Channels that a layer adds up.

    Attributes:
        node: the layer.
        channels: labels of what it reads.
        influence: of each, the norm of the weights that read it times the spread of its values.
        window: places of a map that one of its values sees, along the longest axis, with a filter before it.
    """

    node: fx.Node
    channels: Int[torch.Tensor, " width"]
    influence: Float[torch.Tensor, " width"]
    window: int


@final
@dataclass(slots=True)
class Labelling:
    """Labels of the values and parameters of a traced block.

    Attributes:
        trace: the block.
        classes: which channels go together.
        values: labels by node; a parameter that layers read as a whole is its name until something else reads it.
        axes: by name of a parameter the labels of its axes, None for an axis that nothing has been said of.
        elements: by name of a parameter the labels of its elements, where operations other than layers read it.
        made: by the layers, in the order in which they run.
        read: by the layers, in the same order.
        filters: by label the places that a filter of its channel alone has seen.
        spreads: by label the spread of the values that the channel has last been seen to have.
        curves: of BatchNorm and functions behind it the values of each channel over the grid.
        attributes: by name of a parameter or buffer its attribute in the graph.
    """

    trace: Trace
    classes: Classes = field(default_factory=Classes)
    values: dict[fx.Node, Any] = field(default_factory=dict)
    axes: dict[str, list[Labels | None]] = field(default_factory=dict)
    elements: dict[str, Labels] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    read: list[Read] = field(default_factory=list)
    filters: dict[int, int] = field(default_factory=dict)
    spreads: Float[torch.Tensor, " labels"] = field(default_factory=lambda: torch.zeros(1, device="cpu"))
    curves: dict[fx.Node, Float[torch.Tensor, "width grid"]] = field(default_factory=dict)
    attributes: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.attributes = {name: attribute for attribute, name in self.trace.names.items()}

    def of(self, argument: Any) -> Labels:
        """Labels of a tensor that an operation reads, one for each element."""
        value = self.values[argument]
        if isinstance(value, str):
            return self._elements_of(value)
        assert isinstance(value, torch.Tensor)  # rules of single tensors are asked for nothing else
        return value

    def parameter(self, argument: Any) -> str | None:
        """The name of a parameter or buffer that a layer reads as it stands, None for anything else."""
        value = self.values.get(argument) if isinstance(argument, fx.Node) else None
        return value if isinstance(value, str) else None

    def tensor(self, name: str) -> torch.Tensor:
        """The values of a parameter or buffer."""
        found: torch.Tensor = getattr(self.trace.graph, self.attributes[name])
        return found.detach()

    def tie(self, name: str, axis: int, labels: Labels | None = None) -> Labels:
        """The labels of an axis of a parameter, those given or new ones; such as it has already are joined to them."""
        tensor = self.tensor(name)
        known = self.axes.setdefault(name, [None] * tensor.ndim)
        before = known[axis]
        if before is None:
            before = self.classes.add(tensor.shape[axis]) if labels is None else labels
            known[axis] = before
        elif labels is not None:
            self.classes.merge(before, labels)
        return before

    def channels(self, labels: Labels, axis: int) -> Int[torch.Tensor, " width"]:
        """The labels along the one axis of channels; where they differ along others too, everything is made to stay."""
        for other in range(labels.ndim):
            if other != axis % labels.ndim and not self.classes.is_spread(labels, other):
                self.classes.pin(labels)
                return torch.full((labels.shape[axis],), STAYS, device="cpu")
        return labels.movedim(axis, -1)[(0,) * (labels.ndim - 1)] if labels.ndim > 1 else labels

    def stays(self, node: fx.Node) -> Any:
        """Labels of results whose channels stay, as those of everything that the node reads."""
        for argument in tensors_of(node):
            value = self.values[argument]
            for labels in value if isinstance(value, tuple) else (self.of(argument),):
                self.classes.pin(labels)
        return _staying(node.meta.get("val"))

    def spread_of(self, labels: Int[torch.Tensor, " width"]) -> Float[torch.Tensor, " width"]:
        """The spread that channels have last been seen to have, 0 where none has been seen."""
        missing = len(self.classes) - len(self.spreads)
        self.spreads = torch.cat([self.spreads, torch.zeros(missing, device="cpu")])
        return self.spreads[labels]

    def note_spread(self, labels: Int[torch.Tensor, " width"], spread: Float[torch.Tensor, " width"]) -> None:
        """Keeps the spread of channels."""
        self.spread_of(labels)
        if not spread.is_meta:
            self.spreads[labels] = spread.to("cpu", torch.float32)

    def note_curve(self, node: fx.Node, labels: Labels, curve: Float[torch.Tensor, "width grid"]) -> None:
        """Keeps the values of each channel over the grid, and their spread.

        A channel is taken for normal behind a BatchNorm, with mean beta and deviation |gamma|.
        """
        share = torch.exp(-0.5 * grid() ** 2)
        share = share / share.sum()
        mean = (curve * share).sum(dim=1, keepdim=True)
        self.curves[node] = curve
        self.note_spread(labels, ((curve - mean) ** 2 * share).sum(dim=1).sqrt())

    def _elements_of(self, name: str) -> Labels:
        tensor = self.tensor(name)
        if tensor.ndim == 1:
            return self.tie(name, 0)
        if name not in self.elements:
            large = tensor.numel() > _LARGEST_CONSTANT
            new = torch.full((), STAYS, device="cpu") if large else self.classes.add(tensor.numel())
            self.elements[name] = new.expand(tensor.shape) if large else new.reshape(tensor.shape)
        return self.elements[name]


def grid() -> Float[torch.Tensor, " grid"]:
    """Standard deviations from the mean at which distributions are looked at."""
    return torch.linspace(-4.0, 4.0, _GRID, device="cpu")


def labelled(trace: Trace, rules: Mapping[str, Rule]) -> Labelling:
    """The labels of a block's values: those of its input and output stay, and so does what they are tied to.

    Args:
        trace: the block.
        rules: by name of an operation what it does to labels; channels that other operations see stay.
    """
    state = Labelling(trace)
    for node in trace.graph.graph.nodes:
        if node.op == "placeholder":
            state.values[node] = _staying(node.meta["val"])
        elif node.op == "get_attr":
            name = trace.names.get(str(node.target))
            state.values[node] = _staying(getattr(trace.graph, str(node.target))) if name is None else name
        elif node.op == "output":
            state.classes.pin(state.of(node.args[0]))
        else:
            rule = rules.get(name_of(node), Labelling.stays)
            state.values[node] = rule(state, node)
    for name in set(state.axes) & set(state.elements):
        for labels in (state.elements[name], *(labels for labels in state.axes[name] if labels is not None)):
            state.classes.pin(labels)
    return state


def tensors_of(node: fx.Node) -> Iterator[fx.Node]:
    """The nodes that a node reads and that give tensors."""
    for argument in node.all_input_nodes:
        value = argument.meta.get("val")
        if isinstance(value, (torch.Tensor, tuple, list)) or argument.op == "get_attr":
            yield argument


def _staying(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_staying(part) for part in value)
    shape = tuple(value.shape) if isinstance(value, torch.Tensor) else ()
    return torch.full((), STAYS, device="cpu").expand(shape)
