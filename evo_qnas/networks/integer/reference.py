"""A quantized network in integers: the oracle for runtimes.

Quantizers and layers are in `integer.modules`, every other operation in `integer.steps`; what it does in integers is
its own meaning, see `capture.operations`.

A rounding that falls the other way once in a million values reaches most values twenty layers later, so a network
computed in floats (`QuantizedNetwork.forward`, made for training) is not what a device computes. `InIntegers` is, and
a network is validated with it.
"""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import fx, nn
from torch.utils import _pytree as pytree

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.exporting import Example, arguments_of_example, batch_size
from evo_qnas.networks.capture.graph import last_upsampling, static_batch
from evo_qnas.networks.capture.operations.integers import Pending, Reals
from evo_qnas.networks.capture.operations.operation import arguments_of
from evo_qnas.networks.capture.pieces import in_pieces
from evo_qnas.networks.capture.signature import input_leaves, named_arguments, nested_output, results_of
from evo_qnas.networks.integer.steps import compute, floats_of
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


@torch.no_grad()
def run_in_integers(network: QuantizedNetwork, example: Example) -> Any:
    """What the network gives, in its nesting, float32: codes minus zero point, times scale.

    An operation without a meaning in integers is computed in float32 between quantizers, see `integer.steps`. Of a
    network that ends in up-sampling, what comes before it: the low-resolution logits.

    Args:
        network: calibrated.
        example: a tensor, a tuple of positional arguments, or a mapping of arguments by name.

    Raises:
        NetworkError: the network is not calibrated.
    """
    size = static_batch(network.graph)
    arguments, keywords = arguments_of_example(example)
    if size is None or batch_size((arguments, keywords)) == size:
        return _run(network, example)
    return in_pieces(lambda given, named: _run(network, named or given), size, arguments, keywords)


def _run(network: QuantizedNetwork, example: Example) -> Any:
    graph = network.graph
    last, given = last_upsampling(graph), iter(input_leaves(graph, example))
    values: dict[Any, Any] = {}
    for node in graph.graph.nodes:
        if node == last or node.op == "output":
            results = [last.args[0]] if last is not None else results_of(graph)
            return nested_output(graph, [floats_of(values.get(result, result)) for result in results])
        if node.op == "placeholder":
            values[node] = _input(next(given))
        else:
            values[node] = compute(graph, node, values)
    raise NetworkError("the network has no output")


def _input(leaf: Any) -> Any:
    """Floats wait for their quantizer, everything else is as it is."""
    floating = isinstance(leaf, torch.Tensor) and leaf.is_floating_point()
    return Pending(Reals(leaf.numpy(force=True))) if floating else leaf


@final
class InIntegers(nn.Module):
    """A quantized network as a device computes it, for a metric or a comparison; no gradients.

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

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the network gives, float32, up-sampled where it ends so."""
        by_name = named_arguments(self.network.graph, arguments) | keywords if keywords else None
        given = run_in_integers(self.network, by_name or arguments)
        return given if self.last is None else pytree.tree_map(lambda leaf: upsampled(self.last, leaf), given)


def upsampled(last: fx.Node | None, logits: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """Logits as the up-sampling node at a network's end gives them; as they are without one."""
    if last is None:
        return logits
    operation: Any = last.target
    made: torch.Tensor = operation(logits, *arguments_of(last)[1:])
    return made
