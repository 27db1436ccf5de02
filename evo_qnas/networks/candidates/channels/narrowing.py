"""A block without some of its channels: its own modules with fewer weights, or its operations with other numbers."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.networks.candidates.channels.regraphing import regraphed
from evo_qnas.networks.candidates.channels.rewriting import Cut, Kept, Rewritten, kept_of_parameters, rewritten
from evo_qnas.networks.candidates.channels.rules.layers import groups_position
from evo_qnas.networks.candidates.channels.tracing import Trace, trace


def narrowed(
    block: nn.Module, cut: Cut, another: Callable[[], Cut | None], inputs: tuple[int, ...]
) -> nn.Module | None:
    """The block without the channels that go, in evaluation mode.

    Where the block's own modules with fewer weights compute what is asked for, it is they. Where numbers of the old
    width stand in its code, as the number of heads of an attention does, it is a graph of its operations with its
    layers.

    Args:
        block: stays as it is.
        cut: which channels go.
        another: gives the same for a batch of another size, which tells which numbers depend on it; None where it
            cannot be followed there.
        inputs: shape of the block's input without the batch.

    Raises:
        Ragged: what would be left is no network.
    """
    operations = list(rewritten(cut))
    narrow = copy.deepcopy(block).eval()
    _shrink(narrow, kept_of_parameters(cut), operations, cut.state.trace)
    again = trace(narrow, inputs, cut.state.trace.batch)
    if again is not None and _computes(again, cut.state.trace, operations):
        return narrow
    other = another()
    return None if other is None else regraphed(narrow, operations, list(rewritten(other)), (cut, other))


@torch.no_grad()
def _shrink(module: nn.Module, kept: Mapping[str, Kept], operations: list[Rewritten], traced: Trace) -> None:
    """Takes the places that go out of parameters and buffers, and writes their new sizes into layers."""
    done: dict[int, Any] = {}
    for name, places in kept.items():
        owner, last = _owner(module, name)
        tensor = getattr(owner, last)
        chosen = tensor.detach()
        for axis, each in enumerate(places):
            if each is not None:
                chosen = chosen.index_select(axis, each.to(chosen.device))
        done[id(tensor)] = nn.Parameter(chosen, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else chosen
    for part in module.modules():
        for kind in (part._parameters, part._buffers):
            for last, tensor in list(kind.items()):
                if tensor is not None and id(tensor) in done:
                    kind[last] = done[id(tensor)]
    for operation in operations:
        _note_groups(module, operation, traced)
    for part in module.modules():
        _note_sizes(part)


def _owner(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, last = name.rpartition(".")
    return module.get_submodule(path), last


def _note_groups(module: nn.Module, operation: Rewritten, traced: Trace) -> None:
    """The number of groups of a convolution or a group norm."""
    position = groups_position(operation.node)
    group_norm = "group_norm" in str(operation.target)
    if position is None and not group_norm:
        return
    place = 1 if group_norm else position
    weight: Any = operation.args[2 if group_norm else 1] if len(operation.args) > 2 or not group_norm else None
    name = traced.names.get(str(weight.target)) if isinstance(weight, fx.Node) else None
    if name is None or place is None or len(operation.args) <= place:
        return
    layer = _owner(module, name)[0]
    setattr(layer, "num_groups" if group_norm else "groups", operation.args[place])


def _note_sizes(layer: nn.Module) -> None:
    """The attributes of a layer that say how wide it is, for those who read them."""
    weight = layer._parameters.get("weight")
    if isinstance(layer, (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)) and weight is not None:
        layer.in_channels, layer.out_channels = weight.shape[0], weight.shape[1] * layer.groups
    elif isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)) and weight is not None:
        layer.out_channels, layer.in_channels = weight.shape[0], weight.shape[1] * layer.groups
    elif isinstance(layer, nn.Linear) and weight is not None:
        layer.out_features, layer.in_features = weight.shape
    elif isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
        sizes = [tensor for tensor in (weight, layer._buffers.get("running_mean")) if tensor is not None]
        layer.num_features = len(sizes[0]) if sizes else layer.num_features
    elif isinstance(layer, nn.GroupNorm) and weight is not None:
        layer.num_channels = len(weight)
    elif isinstance(layer, nn.PReLU) and weight is not None:
        layer.num_parameters = len(weight)


def _computes(made: Trace, before: Trace, operations: list[Rewritten]) -> bool:
    """True where a traced block runs these operations on the same parameters, with the same numbers and sizes."""
    calls = [node for node in made.graph.graph.nodes if node.op == "call_function"]
    if len(calls) != len(operations):
        return False
    same: dict[fx.Node, fx.Node] = {}
    for call, operation in zip(calls, operations, strict=True):
        if call.target is not operation.target or not _sized(call, operation):
            return False
        mine, theirs = (list(_leaves(args, kwargs)) for args, kwargs in _called(call, operation))
        if len(mine) != len(theirs):
            return False
        if not all(_alike(a, b, made, before, same) for a, b in zip(mine, theirs, strict=True)):
            return False
        same[call] = operation.node
    return True


def _called(call: fx.Node, operation: Rewritten) -> Iterator[tuple[Any, Any]]:
    yield call.args, call.kwargs
    yield operation.args, operation.kwargs


def _sized(call: fx.Node, operation: Rewritten) -> bool:
    value = call.meta.get("val")
    return operation.shape is None or not isinstance(value, torch.Tensor) or tuple(value.shape) == operation.shape


def _leaves(args: Any, kwargs: Any) -> Iterator[Any]:
    parts = args.values() if isinstance(args, dict) else args
    for part in parts:
        if isinstance(part, (list, tuple, dict)):
            yield from _leaves(part, {})
        else:
            yield part
    if kwargs:
        yield from _leaves([kwargs[name] for name in sorted(kwargs)], {})


def _alike(one: Any, other: Any, made: Trace, before: Trace, same: Mapping[fx.Node, fx.Node]) -> bool:
    if not isinstance(one, fx.Node) or not isinstance(other, fx.Node):
        return type(one) is type(other) and bool(one == other)
    if one.op != other.op:
        return False
    if one.op == "get_attr":
        name = made.names.get(str(one.target))
        return name == before.names.get(str(other.target)) and (name is not None or _equal(one, other, made, before))
    return one.op == "placeholder" or same.get(one) is other


def _equal(one: fx.Node, other: fx.Node, made: Trace, before: Trace) -> bool:
    first, second = getattr(made.graph, str(one.target)), getattr(before.graph, str(other.target))
    return first.shape == second.shape and (first.is_meta or torch.equal(first, second))
