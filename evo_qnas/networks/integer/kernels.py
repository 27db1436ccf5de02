"""Work of the kernels of a quantized network: multiplications, weights read, values moved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import fx

from evo_qnas.networks.capture.graph import last_upsampling, value
from evo_qnas.networks.integer.memory import holds_codes, policy_of, sources_of, values_of
from evo_qnas.networks.quantization.floats import FLOATS
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import QuantizedLayer


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One step of a network: a layer with its ReLU and rounding, an addition, a pooling, ...

    Attributes:
        block: to which it belongs, "" for the fixed part.
        macs: multiplications for one image.
        weights: number that it reads.
        values: activations it reads and writes, in bytes.
    """

    block: str
    macs: int
    weights: int
    values: int


def kernels_of(network: QuantizedNetwork, blocks: Sequence[str] = ()) -> tuple[Kernel, ...]:
    """The kernels in the order in which they run; the rounding of the image is none."""
    graph, policy = network.graph, policy_of(blocks)
    last = last_upsampling(graph)
    nodes = [node for node in graph.graph.nodes if holds_codes(graph, node) and node != last]
    order = {node: index for index, node in enumerate(nodes)}
    kernels = []
    for node in nodes[1:]:
        layer = _layer(graph, node)
        read = sources_of(node, order)
        kernels.append(
            Kernel(
                block=policy.block_of(node),
                macs=_macs(graph, node, layer),
                weights=_weights(graph, node) if layer is None else layer.weight.numel(),
                values=values_of(node) + sum(values_of(source) for source in read),
            )
        )
    return tuple(kernels)


def _macs(graph: fx.GraphModule, node: fx.Node, layer: QuantizedLayer | None) -> int:
    """Multiplications of one call of a layer, or of a product of two activations."""
    if layer is not None:
        return layer.macs // layer.calls
    if node.meta.get(FLOATS):
        return int(node.meta.get("macs", 0))
    source = node.args[0]
    if not isinstance(source, fx.Node) or source.op != "call_function" or source.meta.get(FLOATS):
        return 0
    return int(source.meta.get("macs", 0))


def _weights(graph: fx.GraphModule, node: fx.Node) -> int:
    """Number of values of the network's own that a step in floats reads."""
    own = [value(graph, source) for source in node.all_input_nodes] if node.meta.get(FLOATS) else []
    return sum(tensor.numel() for tensor in own if tensor is not None)


def _layer(graph: fx.GraphModule, node: fx.Node) -> QuantizedLayer | None:
    """The layer whose output a quantizer rounds, behind a ReLU or not."""
    source: object = node.args[0]
    while (
        isinstance(source, fx.Node) and source.op == "call_function" and not isinstance(source.args[0], (list, tuple))
    ):
        source = source.args[0]
        if isinstance(source, fx.Node) and holds_codes(graph, source):
            return None
    module = (
        graph.get_submodule(str(source.target)) if isinstance(source, fx.Node) and source.op == "call_module" else None
    )
    return module if isinstance(module, QuantizedLayer) else None
