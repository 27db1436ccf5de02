"""A traced block with fewer channels: sizes of its parameters, and numbers that its operations are given."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Bool, Int
from torch import fx

from evo_qnas.networks.candidates.channels.classes import distinct
from evo_qnas.networks.candidates.channels.labelling import Labelling
from evo_qnas.networks.candidates.channels.rules.layers import groups_position
from evo_qnas.networks.candidates.channels.rules.moves import RULES as MOVES
from evo_qnas.networks.candidates.channels.rules.moves import indices_of, run_on_labels
from evo_qnas.networks.candidates.channels.tracing import name_of

ATEN = torch.ops.aten
# By axis the places of a tensor that stay, None for all of them.
Kept = tuple[Int[torch.Tensor, " count"] | None, ...]


class Ragged(Exception):  # noqa: N818  # no error of a user: an answer that callers take
    """What is left of a tensor is no tensor: places of one axis stay at some places of another alone."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Which channels go.

    Attributes:
        state: labels of the block.
        stays: by label, True where its class stays.
    """

    state: Labelling
    stays: Bool[torch.Tensor, " labels"]

    def kept(self, labels: Int[torch.Tensor, "*shape"]) -> Kept:
        """The places of a tensor that stay.

        Raises:
            Ragged: they make no tensor.
        """
        small = distinct(labels)
        left = self.stays[self.state.classes.roots(small)]
        if bool(left.all()):
            return (None,) * labels.ndim
        axes: list[Any] = []
        total = 1
        for axis in range(left.ndim):
            others = [other for other in range(left.ndim) if other != axis]
            along = left.amax(dim=others) if others else left
            places = torch.nonzero(along).flatten()
            total *= len(places)
            axes.append(None if len(places) == len(along) else places)
        if total != int(left.sum()) or total == 0:
            raise Ragged
        return tuple(axes)

    def compressed(self, labels: Int[torch.Tensor, "*shape"]) -> Int[torch.Tensor, "*smaller"]:
        """Labels of what stays."""
        for axis, places in enumerate(self.kept(labels)):
            if places is not None:
                labels = labels.index_select(axis, places)
        return labels

    def shape(self, labels: Int[torch.Tensor, "*shape"]) -> tuple[int, ...]:
        """Sizes of what stays."""
        sizes = zip(self.kept(labels), labels.shape, strict=True)
        return tuple(size if places is None else len(places) for places, size in sizes)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """An operation of the block with fewer channels.

    Attributes:
        node: the block's own.
        target: what is called; another operation where parts are no longer equal.
        args: positional, nodes being those of the block.
        kwargs: by name.
        shape: of what it gives, None for several results.
    """

    node: fx.Node
    target: Any
    args: Any
    kwargs: Mapping[str, Any]
    shape: tuple[int, ...] | None


def kept_of_parameters(cut: Cut) -> dict[str, Kept]:
    """By name the places of each parameter and buffer that stay, for those that lose some.

    Raises:
        Ragged: what is left of one is no tensor.
    """
    found: dict[str, Kept] = {}
    for name, axes in cut.state.axes.items():
        found[name] = tuple(None if labels is None else cut.kept(labels)[0] for labels in axes)
    for name, labels in cut.state.elements.items():
        found[name] = cut.kept(labels)
    return {name: kept for name, kept in found.items() if any(places is not None for places in kept)}


def rewritten(cut: Cut) -> Iterator[Rewritten]:
    """The block's operations with numbers for fewer channels, in order.

    Raises:
        Ragged: an operation cannot be given such numbers.
    """
    for node in cut.state.trace.graph.graph.nodes:
        value = cut.state.values.get(node)
        if node.op != "call_function" or value is None:
            continue
        shape = cut.shape(value) if isinstance(value, torch.Tensor) else None
        target, args, kwargs = _arguments(cut, node, value)
        if name_of(node) in MOVES and name_of(node) != "getitem":
            _check(cut, node, value, (target, args, kwargs))
        yield Rewritten(node=node, target=target, args=args, kwargs=kwargs, shape=shape)


def _check(cut: Cut, node: fx.Node, value: Any, called: tuple[Any, Any, Any]) -> None:
    """Raises `Ragged` where an operation that moves values does not move those that stay to their places."""
    target, args, kwargs = called
    wanted = value if isinstance(value, tuple) else (value,)
    if all(places is None for labels in wanted for places in cut.kept(labels)):
        return
    constants = indices_of(cut.state, node) or {}
    sources = {
        argument: cut.compressed(cut.state.of(argument))
        for argument in node.all_input_nodes
        if argument not in constants
    }
    try:
        made = run_on_labels(target, args, kwargs, {**sources, **constants})
    except (RuntimeError, IndexError) as error:
        raise Ragged from error
    results = made if isinstance(made, tuple) else (made,)
    for labels, result in zip(wanted, results, strict=True):
        expected = cut.compressed(labels)
        roots = cut.state.classes.roots
        if expected.shape != result.shape or not torch.equal(roots(expected), roots(result)):
            raise Ragged


def _arguments(cut: Cut, node: fx.Node, value: Any) -> tuple[Any, Any, Any]:
    args: list[Any] = list(node.args)
    kwargs = dict(node.kwargs)
    position = groups_position(node)
    if position is not None and len(args) > position:
        args[position] = _groups(cut, node, int(args[position]))
    rule = _NUMBERS.get(name_of(node))
    if rule is None:
        return node.target, tuple(args), kwargs
    target, args = rule(cut, node, args, value)
    return target, tuple(args), kwargs


def _groups(cut: Cut, node: fx.Node, groups: int) -> int:
    """As many groups as have channels left."""
    source: Any = node.args[0]
    labels = cut.state.of(source)
    return groups * cut.shape(labels)[1] // labels.shape[1]


def _sizes(cut: Cut, node: fx.Node, args: list[Any], value: Any) -> tuple[Any, list[Any]]:
    shape = cut.shape(value)
    if shape == tuple(value.shape):
        return node.target, args
    # -1 stands for what is left, or for the size as it is.
    sizes = [before if before == -1 else after for before, after in zip(args[1], shape, strict=True)]
    return node.target, [args[0], sizes, *args[2:]]


def _unflattened(cut: Cut, node: fx.Node, args: list[Any], value: Any) -> tuple[Any, list[Any]]:
    axis, shape = args[1] % cut.state.of(args[0]).ndim, cut.shape(value)
    if shape == tuple(value.shape):
        return node.target, args
    return node.target, [args[0], args[1], list(shape[axis : axis + len(args[2])])]


def _split(cut: Cut, node: fx.Node, args: list[Any], value: Any) -> tuple[Any, list[Any]]:
    """Parts of the sizes that are left; another operation where they are unlike."""
    axis: Any = args[2] if len(args) > 2 else node.kwargs.get("dim", 0)
    before = [part.shape[axis] for part in value]
    sizes = [cut.shape(part)[axis] for part in value]
    if sizes == before:
        return node.target, args
    if name_of(node) == "split_with_sizes" or isinstance(args[1], (list, tuple)):
        return node.target, [args[0], sizes, *args[2:]]
    alike = len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0]
    if alike:
        return node.target, [args[0], args[1] if name_of(node) == "chunk" else sizes[0], *args[2:]]
    return ATEN.split_with_sizes.default, [args[0], sizes, axis]


def _places(cut: Cut, source: fx.Node, axis: int) -> tuple[Any, int]:
    labels = cut.state.of(source)
    return cut.kept(labels)[axis % labels.ndim], labels.shape[axis % labels.ndim]


def _sliced(cut: Cut, node: fx.Node, args: list[Any], _value: Any) -> tuple[Any, list[Any]]:
    """The same channels, counted among those that stay; (source, axis, first, end, step)."""
    axis = args[1] if len(args) > 1 else 0
    kept, size = _places(cut, args[0], axis)
    if kept is None or len(args) < 3:
        return node.target, args
    if len(args) > 4 and args[4] != 1:
        raise Ragged
    first = _bound(args[2] if args[2] is not None else 0, size)
    end = _bound(args[3] if len(args) > 3 and args[3] is not None else size, size)
    new = [args[0], axis, int((kept < first).sum())]
    whole = len(args) < 4 or args[3] is None or args[3] >= size
    return node.target, [*new, *(args[3:4] if whole else [int((kept < end).sum())]), *args[4:]]


def _bound(place: int, size: int) -> int:
    return max(0, min(size, place + size if place < 0 else place))


def _narrowed(cut: Cut, node: fx.Node, args: list[Any], value: Any) -> tuple[Any, list[Any]]:
    kept, size = _places(cut, args[0], args[1])
    if kept is None:
        return node.target, args
    axis = args[1] % value.ndim
    return node.target, [args[0], args[1], int((kept < _bound(args[2], size)).sum()), cut.shape(value)[axis]]


def _selected(cut: Cut, node: fx.Node, args: list[Any], _value: Any) -> tuple[Any, list[Any]]:
    kept, size = _places(cut, args[0], args[1])
    if kept is None:
        return node.target, args
    place = args[2] % size
    if place not in kept.tolist():
        raise Ragged
    return node.target, [args[0], args[1], int((kept < place).sum())]


def _normed_groups(cut: Cut, node: fx.Node, args: list[Any], _value: Any) -> tuple[Any, list[Any]]:
    return node.target, [args[0], _groups(cut, node, args[1]), *args[2:]]


_NUMBERS: Mapping[str, Callable[[Cut, fx.Node, list[Any], Any], tuple[Any, list[Any]]]] = {
    **dict.fromkeys(("view", "reshape", "_unsafe_view", "expand"), _sizes),
    "unflatten": _unflattened,
    **dict.fromkeys(("split", "split_with_sizes", "chunk"), _split),
    "slice": _sliced,
    "narrow": _narrowed,
    "select": _selected,
    "group_norm": _normed_groups,
}
