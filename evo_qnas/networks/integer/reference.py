"""A quantized network in integers: the oracle for runtimes.

Quantizers and layers are in `integer.modules`; what any other operation does in integers is its own meaning, see
`capture.operations`.

A rounding that falls the other way once in a million values reaches most values twenty layers later, so a network
computed in floats (`QuantizedNetwork.forward`, made for training) is not what a device computes. `InIntegers` is, and
a network is validated with it.
"""

from dataclasses import replace
from typing import Any, final

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import last_upsampling
from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals, pending
from evo_qnas.networks.capture.operations.operation import Role, arguments_of, no_integer_kernel
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.integer.modules import run_module
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


@torch.no_grad()
def run_in_integers(network: QuantizedNetwork, images: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """The network's output computed in integers, float32: codes minus zero point, times scale.

    Of a network that ends in up-sampling, what comes before it: the low-resolution logits.

    Raises:
        NetworkError: an operation has no integer kernel here.
    """
    graph = network.graph
    last = last_upsampling(graph)
    values: dict[fx.Node, Any] = {}
    for node in graph.graph.nodes:
        if last is not None and node == last:
            return _output(values[node.args[0]])
        if node.op == "placeholder":
            values[node] = Pending(Reals(images.numpy(force=True)))
        elif node.op == "call_module":
            values[node] = run_module(graph.get_submodule(str(node.target)), values[node.args[0]])
        elif node.op == "call_function":
            values[node] = _function(node, values)
        elif node.op == "output":
            result: Any = node.args[0]
            return _output(values[result[0] if isinstance(result, (tuple, list)) else result])
    raise NetworkError("the network has no output")


@final
class InIntegers(nn.Module):
    """A quantized network as a device computes it, for a metric or a comparison; no gradients.

    See `in_integers` for networks with operations that have no integer kernel here.

    Example:
        >>> from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
        >>> x = torch.linspace(-1.0, 1.0, 6).view(2, 3)
        >>> network = quantize(nn.Linear(3, 2), x, Policy(fixed=Bits(weight=8, activation=8)))
        >>> network.calibrate([x])
        >>> bool((InIntegers(network)(x) - network(x)).abs().max() < 1e-6)
        True
    """

    def __init__(self, network: QuantizedNetwork) -> None:
        super().__init__()
        self.network = network
        self.last = last_upsampling(network.graph)

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
        """The network's output, float32, up-sampled where the network ends so."""
        return upsampled(self.last, run_in_integers(self.network, x))


def in_integers(network: QuantizedNetwork, example: Float[torch.Tensor, "n ..."]) -> nn.Module:
    """`InIntegers` of the network, or the network itself where an operation has no integer kernel here."""
    try:
        run_in_integers(network, example)
    except NetworkError:
        return network
    return InIntegers(network)


def upsampled(last: fx.Node | None, logits: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """Logits as the up-sampling node at a network's end gives them; as they are without one."""
    if last is None:
        return logits
    operation: Any = last.target
    made: torch.Tensor = operation(logits, *arguments_of(last)[1:])
    return made


def _output(value: Any) -> Float[torch.Tensor, "..."]:
    if not isinstance(value, Centred):
        raise NetworkError("the network's output is not quantized")
    return torch.from_numpy(value.floats)


def _function(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    operation = operation_of(node.target)
    if operation is None:
        raise no_integer_kernel(node)
    arguments = [_value(argument, values) for argument in arguments_of(node)]
    if operation.limits is not None:
        return pending(arguments[0]).limited(*operation.limits(node))
    if operation.integer is not None:
        return operation.integer(node, arguments)
    if operation.role is Role.LAYOUT and isinstance(arguments[0], Centred):
        return _moved(node, arguments)
    raise no_integer_kernel(node)


def _moved(node: fx.Node, arguments: list[Any]) -> Centred:
    """The operation itself on centred codes: among them 0 is 0, which paddings fill in."""
    target: Any = node.target
    source: Centred = arguments[0]
    integers = target(source.integers, *arguments[1 : len(node.args)], **node.kwargs)
    return replace(source, integers=integers)


def _value(argument: Any, values: dict[fx.Node, Any]) -> Any:
    if isinstance(argument, fx.Node):
        return values.get(argument, argument)
    if isinstance(argument, (list, tuple)):
        return [_value(item, values) for item in argument]
    return argument
