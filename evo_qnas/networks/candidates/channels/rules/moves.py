"""Rules of operations that move values or choose among them: they do to labels what they do to values."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.candidates.channels.labelling import Labelling, Rule


def _moved(state: Labelling, node: fx.Node) -> Any:
    constants = indices_of(state, node)
    if constants is None:
        return state.stays(node)
    labels = {argument: state.of(argument) for argument in node.all_input_nodes if argument not in constants}
    return run_on_labels(node.target, node.args, node.kwargs, {**labels, **constants})


def run_on_labels(target: Any, args: Any, kwargs: Any, labels: dict[fx.Node, torch.Tensor]) -> Any:
    """What an operation makes of labels in place of the values of the nodes that it reads."""
    # Labels that were spread over an axis have no strides that every view takes.
    function = torch.ops.aten.reshape.default if target in _VIEWS else target
    made = function(
        *fx.node.map_arg(args, lambda argument: labels[argument]),
        **fx.node.map_arg(kwargs, lambda argument: labels[argument]),
    )
    return tuple(made) if isinstance(made, (list, tuple)) else made


_VIEWS = frozenset({torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default})


def indices_of(state: Labelling, node: fx.Node) -> dict[fx.Node, torch.Tensor] | None:
    """Values of the constants that say which values are chosen; None where results of the block say so.

    Raises:
        RuntimeError: a constant has no values.
    """
    found: list[fx.Node] = []
    if "index" in str(node.target):
        fx.node.map_arg(node.args[1:], found.append)
    constants = {argument: _constant(state, argument) for argument in found}
    known = {argument: tensor for argument, tensor in constants.items() if tensor is not None}
    return known if len(known) == len(constants) else None


def _constant(state: Labelling, node: fx.Node) -> torch.Tensor | None:
    """The values of a constant, None for a result.

    Raises:
        RuntimeError: it is a constant without values.
    """
    if node.op != "get_attr":
        return None
    tensor: torch.Tensor = getattr(state.trace.graph, str(node.target)).detach()
    if tensor.is_meta:
        raise RuntimeError("which values are chosen cannot be read without values")
    return tensor.cpu()


def _item(state: Labelling, node: fx.Node) -> Any:
    """One of several results."""
    source: Any = node.args[0]
    index: Any = node.args[1]
    value = state.values[source]
    return value[index] if isinstance(value, tuple) else state.stays(node)


_MOVED = (
    "view reshape _unsafe_view view_as reshape_as flatten unflatten permute transpose t swapaxes swapdims movedim mT "
    "adjoint numpy_T squeeze unsqueeze select slice narrow split split_with_sizes chunk unbind cat concat concatenate "
    "stack expand expand_as repeat tile repeat_interleave roll flip index index_select pixel_shuffle "
    "pixel_unshuffle channel_shuffle diagonal unfold tensor_split"
)
RULES: dict[str, Rule] = {**dict.fromkeys(_MOVED.split(), _moved), "getitem": _item}
