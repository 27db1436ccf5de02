"""One operation after another in integers, and in floats where an operation has no meaning in integers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from evo_qnas.networks.capture.graph import value
from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals, pending
from evo_qnas.networks.capture.operations.operation import Role, arguments_of
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.integer.modules import run_module


def compute(graph: fx.GraphModule, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    """The value of a node: `Centred` codes, a `Pending` result, another tensor, a number, or a tuple of these.

    An operation without a meaning in integers is computed by torch in float32 on the floats of its arguments.

    Args:
        graph: of a quantized network.
        node: anything but a placeholder and the output.
        values: those of the nodes before it.

    Raises:
        NetworkError: a layer's input is not quantized.
    """
    if node.op == "get_attr":
        constant = value(graph, node)
        return None if constant is None else constant.detach().cpu()
    if node.op == "call_module":
        return run_module(graph.get_submodule(str(node.target)), given(node.args[0], values))
    operation = operation_of(node.target)
    if operation is not None and operation.limits is not None and _is_floating(node):
        return pending(_waiting(given(node.args[0], values))).limited(*operation.limits(node))
    if operation is not None and operation.integer is not None:
        result = operation.integer(node, [given(argument, values) for argument in arguments_of(node)])
        if result is not None:
            return result
    arguments, keywords = given(node.args, values), given(node.kwargs, values)
    if operation is not None and operation.role is Role.LAYOUT and isinstance(arguments[0], Centred):
        return _moved(node, arguments, keywords)
    return _in_floats(node, arguments, keywords)


def given(argument: Any, values: Mapping[fx.Node, Any]) -> Any:
    """An argument with values in place of nodes."""
    if isinstance(argument, fx.Node):
        return values[argument]
    if isinstance(argument, (list, tuple)):
        return [given(item, values) for item in argument]
    if isinstance(argument, Mapping):
        return {name: given(item, values) for name, item in argument.items()}
    return argument


def floats_of(result: Any) -> Any:
    """The floats of a value, and of each one in a list; other tensors and numbers as they are."""
    if isinstance(result, (Centred, Pending)):
        return torch.from_numpy(result.floats)
    if isinstance(result, (list, tuple)):
        return [floats_of(item) for item in result]
    if isinstance(result, Mapping):
        return {name: floats_of(item) for name, item in result.items()}
    return result


def is_island(result: Any) -> bool:
    """True where a value was computed in floats, and waits for its quantizer."""
    if isinstance(result, tuple):
        return any(map(is_island, result))
    return isinstance(result, Pending) and not result.exact


def _moved(node: fx.Node, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    """The operation itself on centred codes: among them 0 is 0, which paddings fill in."""
    source: Centred = arguments[0]
    target: Any = node.target
    result = target(source.integers, *floats_of(arguments[1:]), **floats_of(keywords))

    def recoded(part: Any) -> Any:
        floating = isinstance(part, torch.Tensor) and part.is_floating_point()
        return replace(source, integers=part) if floating else part

    return tuple(map(recoded, result)) if isinstance(result, (list, tuple)) else recoded(result)


def _in_floats(node: fx.Node, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
    """What torch gives; floats wait for the quantizer behind them."""
    target: Any = node.target
    # Arithmetic with sizes, and items of a tuple, whose codes stay codes.
    if not isinstance(target, torch._ops.OpOverload):
        return target(*arguments, **keywords)
    return _wrapped(target(*floats_of(arguments), **floats_of(keywords)))


def _wrapped(result: Any) -> Any:
    if isinstance(result, (list, tuple)):
        return tuple(_wrapped(part) for part in result)
    if isinstance(result, torch.Tensor) and result.is_floating_point():
        return Pending(Reals(result.float().contiguous().numpy(), exact=False))
    return result


def _is_floating(node: fx.Node) -> bool:
    result = node.meta.get("val")
    return isinstance(result, torch.Tensor) and result.is_floating_point()


def _waiting(source: Any) -> Any:
    """A value that an activation cuts: a float tensor that no quantizer rounds waits too."""
    return _wrapped(source) if isinstance(source, torch.Tensor) else source
