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

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import last_upsampling
from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals
from evo_qnas.networks.capture.operations.operation import arguments_of
from evo_qnas.networks.integer.steps import compute
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


@torch.no_grad()
def run_in_integers(network: QuantizedNetwork, images: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """The network's output, float32: codes minus zero point, times scale.

    An operation without a meaning in integers is computed in float32 between quantizers, see `integer.steps`. Of a
    network that ends in up-sampling, what comes before it: the low-resolution logits.

    Raises:
        NetworkError: the network's output is not quantized.
    """
    graph = network.graph
    last = last_upsampling(graph)
    values: dict[fx.Node, Any] = {}
    for node in graph.graph.nodes:
        if last is not None and node == last:
            return _output(values[node.args[0]])
        if node.op == "placeholder":
            values[node] = Pending(Reals(images.numpy(force=True)))
        elif node.op == "output":
            result: Any = node.args[0]
            return _output(values[result[0] if isinstance(result, (tuple, list)) else result])
        else:
            values[node] = compute(graph, node, values)
    raise NetworkError("the network has no output")


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

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
        """The network's output, float32, up-sampled where the network ends so."""
        return upsampled(self.last, run_in_integers(self.network, x))


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
