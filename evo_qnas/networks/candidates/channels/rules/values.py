"""Rules of operations on each value, on several tensors, along axes, and on maps channel by channel."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.candidates.channels.classes import STAYS
from evo_qnas.networks.candidates.channels.labelling import Labelling, Rule


def _each_value(state: Labelling, node: fx.Node) -> Any:
    """A function of each value alone; behind a BatchNorm its values over the grid are followed."""
    source: Any = node.args[0]
    curve = state.curves.get(source)
    labels = state.of(source)
    if curve is not None and labels.ndim > 1:
        function: Any = node.target
        try:
            made = function(curve.clone(), *node.args[1:], **node.kwargs)
        except Exception:  # arguments that are tensors, or another type of numbers
            return labels
        if isinstance(made, torch.Tensor) and made.shape == curve.shape:
            state.note_curve(node, state.channels(labels, 1), made.float())
    return labels


def _several(state: Labelling, node: fx.Node) -> Any:
    """A function of the values that stand at the same place of several tensors, shapes being broadcast."""
    arguments = [argument for argument in node.all_input_nodes if argument in state.values]
    labels = [state.of(argument) for argument in arguments]
    return combined(state, labels, torch.broadcast_shapes(*(each.shape for each in labels)))


def combined(state: Labelling, tensors: list[Any], shape: torch.Size) -> Any:
    """Labels of what several tensors become, their shapes being broadcast to one.

    A tensor that is spread along an axis along which another has several classes belongs to all of them, and stays.
    A tensor of one number stays too.
    """
    operands = [labels for labels in tensors if labels.numel() > 1]
    spread = [labels.expand(shape) for labels in operands]
    taken: list[Any] = []
    for index, labels in enumerate(operands):
        axes = _spread_axes(labels.shape, shape)
        others = [other for position, other in enumerate(spread) if position != index]
        if all(state.classes.is_spread(other, axis) for other in others for axis in axes):
            taken.append(spread[index])
        else:
            state.classes.pin(labels)
    for labels in tensors:
        if labels.numel() == 1:
            state.classes.pin(labels)
    for labels in taken[1:]:
        state.classes.merge(taken[0], labels)
    return taken[0] if taken else torch.full((), STAYS, device="cpu").expand(shape)


def _spread_axes(shape: torch.Size, wanted: torch.Size) -> list[int]:
    missing = len(wanted) - len(shape)
    return [axis for axis, size in enumerate(wanted) if size > 1 and (axis < missing or shape[axis - missing] == 1)]


def joined(state: Labelling, labels: Any, axes: list[int]) -> Any:
    """Labels along axes that an operation looks at together: they become one class at each place of the others."""
    first = labels
    for axis in axes:
        first = first.narrow(axis, 0, 1)
    state.classes.merge(labels, first.expand(labels.shape))
    return first


def _along(position: int, default: Any = None) -> Rule:
    """A function of all values along an axis that keeps their number, such as softmax."""

    def rule(state: Labelling, node: fx.Node) -> Any:
        labels = state.of(node.args[0])
        joined(state, labels, _axes(_argument(node, position, default), labels.ndim))
        return labels

    return rule


def _reduced(state: Labelling, node: fx.Node) -> Any:
    """One value of all along some axes, or of the whole tensor."""
    result = node.meta["val"]
    if not isinstance(result, torch.Tensor) or result.ndim == 0:
        return state.stays(node)
    labels = state.of(node.args[0])
    position = 2 if _takes_order(node) else 1
    axes = _axes(_argument(node, position, None), labels.ndim)
    first = joined(state, labels, axes)
    if result.ndim == labels.ndim:
        return first
    for axis in sorted(axes, reverse=True):
        first = first.squeeze(axis)
    return first if first.shape == result.shape else state.stays(node)


def _takes_order(node: fx.Node) -> bool:
    """True for norms, whose second argument is their order."""
    return "norm" in str(node.target)


def _argument(node: fx.Node, position: int, default: Any) -> Any:
    if len(node.args) > position:
        return node.args[position]
    return node.kwargs.get("dim", default)


def _axes(argument: Any, ndim: int) -> list[int]:
    """Axes that an argument names, all where it names none."""
    if argument is None or argument == []:
        return list(range(ndim))
    return [axis % ndim for axis in (argument if isinstance(argument, (list, tuple)) else [argument])]


def _map(state: Labelling, node: fx.Node) -> Any:
    """A window or another size of maps, each channel alone: the axes behind the second change."""
    labels, result = state.of(node.args[0]), node.meta["val"]
    if not isinstance(result, torch.Tensor) or labels.ndim != result.ndim or labels.ndim < 3:
        return state.stays(node)
    if not all(state.classes.is_spread(labels, axis) for axis in range(2, labels.ndim)):
        return state.stays(node)
    for axis in range(2, labels.ndim):
        labels = labels.narrow(axis, 0, 1)
    return labels.expand(result.shape)


def _padded(state: Labelling, node: fx.Node) -> Any:
    """A rim: along axes along which channels are the same it is theirs; of channels of zeros nothing goes."""
    labels, result = state.of(node.args[0]), node.meta["val"]
    if isinstance(result, torch.Tensor) and labels.ndim == result.ndim:
        grown = [axis for axis in range(labels.ndim) if labels.shape[axis] != result.shape[axis]]
        if all(state.classes.is_spread(labels, axis) for axis in grown):
            for axis in grown:
                labels = labels.narrow(axis, 0, 1)
            return labels.expand(result.shape)
    return state.stays(node)


_EACH_VALUE = (
    "relu relu6 hardtanh clamp clamp_min clamp_max clip silu hardswish hardsigmoid sigmoid tanh gelu leaky_relu elu "
    "selu celu mish softplus softsign log_sigmoid hardshrink softshrink threshold exp expm1 log log1p log2 log10 abs "
    "neg negative reciprocal sin cos tan atan erf sign floor ceil round trunc sqrt rsqrt square dropout alpha_dropout "
    "feature_dropout contiguous clone alias detach to _to_copy type_as lift_fresh_copy rrelu exp2 asin acos "
    "sinh cosh asinh acosh atanh logical_not bitwise_not nan_to_num"
)
_SEVERAL = (
    "add sub rsub subtract mul multiply div divide true_divide maximum minimum pow addcmul addcdiv where masked_fill "
    "lerp fmod remainder eq ne lt le gt ge logical_and logical_or atan2 floor_divide"
)
_REDUCED = "mean sum amax amin var std prod logsumexp linalg_vector_norm norm all any"
_MAPS = (
    "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d upsample_nearest1d upsample_nearest2d "
    "upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d upsample_bilinear2d upsample_linear1d "
    "upsample_bicubic2d upsample_trilinear3d _upsample_bilinear2d_aa _upsample_bicubic2d_aa"
)
RULES: dict[str, Rule] = {
    **dict.fromkeys(_EACH_VALUE.split(), _each_value),
    **dict.fromkeys(_SEVERAL.split(), _several),
    **dict.fromkeys(_REDUCED.split(), _reduced),
    **dict.fromkeys(_MAPS.split(), _map),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "cumsum"), _along(1)),
    **dict.fromkeys(
        ("constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
        _padded,
    ),
}
