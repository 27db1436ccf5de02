"""Layers whose weights are computed from weights, as plain layers with the weights that come of it."""

import copy
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.networks.candidates.channels.tracing import Trace, name_of, trace
from evo_qnas.networks.candidates.submodules import submodules

_PLAIN: dict[str, type[nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "linear": nn.Linear,
}
_LAYERS = tuple(_PLAIN.values())


@torch.no_grad()
def baked(block: nn.Module, inputs: tuple[int, ...]) -> nn.Module:
    """The block with plain layers for those that compute their weights, as weight normalisation and standardisation do.

    Itself where there are none. A layer stays as it is that does more than one convolution or linear layer.

    Args:
        block: stays as it is.
        inputs: shape of its input without the batch.

    Example:
        >>> block = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)))
        >>> baked(block, (4,))
        Sequential(
          (0): Linear(in_features=4, out_features=2, bias=True)
        )
    """
    odd = [name for name, part in block.named_modules() if name and _is_odd(part)]
    if not odd:
        return block
    made = copy.deepcopy(block)
    for name, shape in _called(block, inputs).items():
        plain = _plain(block.get_submodule(name), shape) if name in odd else None
        if plain is not None:
            made.set_submodule(name, plain.train(block.training), strict=True)
    return made


def _is_odd(layer: nn.Module) -> bool:
    return isinstance(layer, _LAYERS) and type(layer) not in _LAYERS


def _called(block: nn.Module, inputs: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Input shapes of the submodules that a block calls, once and with a tensor alone."""
    modes = [(part, part.training) for part in block.modules()]
    device = next((parameter.device for parameter in block.parameters()), torch.device("cpu"))
    try:
        parts = submodules(block, torch.zeros(2, *inputs, device=device))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return {}
    finally:
        for part, mode in modes:
            part.training = mode
    return {each.name: each.inputs for each in parts if each.signature is not None and each.signature.is_plain}


def _plain(layer: nn.Module, inputs: tuple[int, ...]) -> nn.Module | None:
    """The plain layer, None where its weights are its own or it computes something else beside."""
    traced = trace(layer, inputs)
    if traced is None:
        return None
    (source,) = (node for node in traced.graph.graph.nodes if node.op == "placeholder")
    (output,) = (node for node in traced.graph.graph.nodes if node.op == "output")
    call: Any = output.args[0]
    weight: Any = call.args[1] if name_of(call) in _PLAIN else None
    if weight is None or call.args[0] is not source or weight.op != "call_function":
        return None
    bias: Any = call.args[2] if len(call.args) > 2 else None
    values = [None if node is None else _value(traced, node) for node in (weight, bias)]
    if values[0] is None or (bias is not None and values[1] is None):
        return None
    return _layer(call, values[0], values[1])


def _value(traced: Trace, wanted: fx.Node) -> torch.Tensor | None:
    """What a node gives that depends on parameters alone, None where it depends on the input."""
    known: dict[fx.Node, Any] = {}
    for node in traced.graph.graph.nodes:
        if node.op == "get_attr":
            known[node] = getattr(traced.graph, str(node.target)).detach()
        elif node.op == "call_function" and all(argument in known for argument in node.all_input_nodes):
            target: Any = node.target
            known[node] = target(
                *fx.node.map_arg(node.args, known.__getitem__), **fx.node.map_arg(node.kwargs, known.__getitem__)
            )
    found: torch.Tensor | None = known.get(wanted)
    return found


def _layer(call: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    place: Any = {"device": weight.device, "dtype": weight.dtype}
    made: Any
    if name_of(call) == "linear":
        made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None, **place)
    else:
        kind: Any = _PLAIN[name_of(call)]
        defaults: tuple[Any, ...] = ([1], [0], [1], 1)
        given = tuple(call.args[3:])
        stride, padding, dilation, groups = (*given, *defaults[len(given) :])
        made = kind(
            weight.shape[1] * groups,
            weight.shape[0],
            tuple(weight.shape[2:]),
            stride=stride if isinstance(stride, int) else tuple(stride),
            padding=padding if isinstance(padding, (int, str)) else tuple(padding),
            dilation=dilation if isinstance(dilation, int) else tuple(dilation),
            groups=groups,
            bias=bias is not None,
            **place,
        )
    made.weight.copy_(weight)
    if bias is not None:
        made.bias.copy_(bias)
    return made  # type: ignore[no-any-return]  # its class is looked up by a name
