"""Rules of layers: what they read goes, what they make begins."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.candidates.channels.classes import STAYS
from evo_qnas.networks.candidates.channels.labelling import Labelling, Made, Read, Rule, grid
from evo_qnas.networks.candidates.channels.rules.values import joined


def groups_position(node: fx.Node) -> int | None:
    """Where the number of groups stands among the arguments of a convolution, None for other operations."""
    name = str(node.target)
    if "conv_transpose" in name:
        return 6
    return 6 if ".conv1d." in name or ".conv2d." in name or ".conv3d." in name else None


def _linear(state: Labelling, node: fx.Node) -> Any:
    source, weight = node.args[:2]
    name = state.parameter(weight)
    if name is None:
        return state.stays(node)
    read = state.channels(state.of(source), -1)
    made = _contracted(state, node, name, read, reads=1, makes=0)
    _bias(state, node, made)
    return made.expand(node.meta["val"].shape)


def _added_product(state: Labelling, node: fx.Node) -> Any:
    """Channels of bias + x W, W having a row for each channel that is read: a linear layer over all rows of x."""
    source, weight = node.args[1:3]
    name = state.parameter(weight)
    if name is None or node.kwargs or state.of(source).ndim != 2:
        return state.stays(node)
    read = state.channels(state.of(source), -1)
    made = _contracted(state, node, name, read, reads=0, makes=1)
    _bias(state, node, made, place=0)
    return made.expand(node.meta["val"].shape)


def _convolution(state: Labelling, node: fx.Node) -> Any:
    return _convolved(state, node, reads=1, makes=0)


def _transposed(state: Labelling, node: fx.Node) -> Any:
    return _convolved(state, node, reads=0, makes=1)


def _convolved(state: Labelling, node: fx.Node, *, reads: int, makes: int) -> Any:
    source, weight = node.args[:2]
    name, labels = state.parameter(weight), state.of(source)
    result = node.meta["val"]
    if name is None or labels.ndim != result.ndim or state.tensor(name).ndim != result.ndim:
        return state.stays(node)
    groups: Any = node.args[6] if len(node.args) > 6 else 1
    read = state.channels(labels, 1)
    if groups == 1:
        made = _contracted(state, node, name, read, reads=reads, makes=makes)
    else:
        made = _grouped(state, node, name, read, groups=groups, transposed=makes == 1)
    _bias(state, node, made)
    return made.view(-1, *(1,) * (result.ndim - 2)).expand(result.shape)


def _contracted(state: Labelling, node: fx.Node, name: str, read: Any, *, reads: int, makes: int) -> Any:
    """Channels that a layer makes of all that it reads."""
    weight = state.tensor(name)
    state.tie(name, reads, read)
    made = state.tie(name, makes)
    window = max(weight.shape[2:], default=1)
    # What a filter sees, the layer that reads it sees.
    window = max(window, *(state.filters.get(label, 1) for label in read.tolist()), 1)
    norms = _norms(weight, reads)
    state.read.append(Read(node=node, channels=read, influence=norms * state.spread_of(read), window=window))
    state.made.append(Made(name=name, axis=makes, channels=made, window=window))
    state.note_spread(made, _norms(weight, makes))
    return made


def _grouped(state: Labelling, node: fx.Node, name: str, read: Any, *, groups: int, transposed: bool) -> Any:
    """Channels of groups, which go as a whole with what they are made of; a filter for each channel is one of them."""
    weight = state.tensor(name)
    state.classes.pin(state.tie(name, 1))
    if transposed:
        state.tie(name, 0, read)
        made = state.classes.add(node.meta["val"].shape[1])
    else:
        made = state.tie(name, 0)
    together = torch.cat([read.reshape(groups, -1), made.reshape(groups, -1)], dim=1)
    joined(state, together, [1])
    window = max(weight.shape[2:], default=1)
    state.filters.update(dict.fromkeys(made.tolist(), window))
    if not transposed:
        state.made.append(Made(name=name, axis=0, channels=made, window=window))
        state.note_spread(made, _norms(weight, 0))
    return made


def _norms(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Norm of the weights of each channel along an axis; ones where the weights have no values."""
    if weight.is_meta:
        return torch.ones(weight.shape[axis], device="cpu")
    found: torch.Tensor = weight.transpose(0, axis).flatten(1).norm(dim=1).to("cpu", torch.float32)
    return found


def _bias(state: Labelling, node: fx.Node, made: Any, place: int = 2) -> None:
    bias = node.args[place] if len(node.args) > place else None
    name = state.parameter(bias)
    if name is not None:
        state.tie(name, 0, made)
    elif isinstance(bias, fx.Node):
        state.classes.pin(made)


def _batch_norm(state: Labelling, node: fx.Node) -> Any:
    """A factor and a shift of each channel, of which its distribution behind the layer is known."""
    labels = state.of(node.args[0])
    channels = state.channels(labels, 1)
    names = [state.parameter(argument) for argument in node.args[1:5]]
    for name, argument in zip(names, node.args[1:5], strict=True):
        if name is not None:
            state.tie(name, 0, channels)
        elif isinstance(argument, fx.Node):
            state.classes.pin(channels)
    if names[0] is not None and names[1] is not None:
        factor, shift = state.tensor(names[0]), state.tensor(names[1])
        if not factor.is_meta:
            curve = shift.cpu()[:, None] + factor.cpu().abs()[:, None] * grid()
            state.note_curve(node, channels, curve)
    return labels


def _layer_norm(state: Labelling, node: fx.Node) -> Any:
    """Means over the last axes: what is along them goes together."""
    shape: Any = node.args[1]
    labels = state.of(node.args[0])
    last = list(range(labels.ndim - len(shape), labels.ndim))
    joined(state, labels, last)
    for argument in node.args[2:4]:
        if isinstance(argument, fx.Node):
            own = state.of(argument)
            # One weight for each place along those axes, whatever stands at the others.
            spread = all(state.classes.is_spread(labels, axis) for axis in range(labels.ndim - own.ndim))
            state.classes.merge(own, labels[(0,) * (labels.ndim - own.ndim)]) if spread else state.classes.pin(own)
    return labels


def _group_norm(state: Labelling, node: fx.Node) -> Any:
    """Means over groups of channels, which go as a whole."""
    groups: Any = node.args[1]
    labels = state.of(node.args[0])
    channels = state.channels(labels, 1)
    joined(state, channels.reshape(groups, -1), [1])
    for argument in node.args[2:4]:
        if isinstance(argument, fx.Node):
            state.classes.merge(state.of(argument), channels)
    return labels


def _prelu(state: Labelling, node: fx.Node) -> Any:
    labels = state.of(node.args[0])
    slopes = state.of(node.args[1])
    if slopes.numel() > 1:
        state.classes.merge(state.channels(labels, 1), slopes)
    else:
        state.classes.pin(slopes)
    return labels


def _embedding(state: Labelling, node: fx.Node) -> Any:
    shape = node.meta["val"].shape
    return torch.full((), STAYS, device="cpu").expand(shape)


RULES: dict[str, Rule] = {
    "linear": _linear,
    "addmm": _added_product,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed),
    **dict.fromkeys(("batch_norm", "instance_norm"), _batch_norm),
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm),
    "group_norm": _group_norm,
    "prelu": _prelu,
    "embedding": _embedding,
}
