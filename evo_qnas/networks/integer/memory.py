"""Peak activation memory: tensors of codes that live at once while a network runs in its order of execution.

Counted are tensors of codes, one byte a value whatever its bits, as runtimes hold them: what a convolution, addition,
concatenation, ... gives after its quantizer, and copies such as max-pooling, padding or nearest up-sampling. Reshaping
copies nothing. The float image and weights are the caller's and are not counted. Of what a block computes in floats,
the tensors that it makes and the floats of the codes that it reads count four bytes a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from torch import fx

from evo_qnas.networks.capture.graph import last_upsampling
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.sizes import values_of_one
from evo_qnas.networks.quantization.floats import FLOATS
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer

_ANY = Bits(weight=8, activation=8)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of codes: the steps between which it lives, both included, and its size.

    Attributes:
        block: whose step makes it, "" for the fixed part.
        size: bytes for one image.
        made: index of the step that makes it.
        last: index of the last step that reads it; past the end for the network's output.
    """

    block: str
    size: int
    made: int
    last: int


def tensors_of(network: QuantizedNetwork, blocks: Sequence[str] = ()) -> tuple[Tensor, ...]:
    """The tensors of codes of a network in the order in which they are made."""
    graph = network.graph
    policy = policy_of(blocks)
    last = last_upsampling(graph)
    nodes = [node for node in graph.graph.nodes if holds_codes(graph, node) and node != last]
    order = {node: index for index, node in enumerate(nodes)}
    reads = dict.fromkeys(nodes, -1)
    for node in nodes:
        for source in sources_of(node, order):
            reads[source] = max(reads[source], order[node])
    output = next(node for node in graph.graph.nodes if node.op == "output")
    for source in sources_of(output, order):
        reads[source] = len(nodes)
    made = [
        Tensor(block=policy.block_of(node), size=values_of(node), made=order[node], last=max(order[node], reads[node]))
        for node in nodes
    ]
    return tuple(made + [_floats_read(node, order, policy.block_of(node)) for node in nodes if node.meta.get(FLOATS)])


def _floats_read(node: fx.Node, order: dict[fx.Node, int], block: str) -> Tensor:
    """The floats of the codes that a step in floats reads, which live while it runs."""
    read = [source for source in sources_of(node, order) if not source.meta.get(FLOATS)]
    return Tensor(block=block, size=4 * sum(map(values_of, read)), made=order[node], last=order[node])


def policy_of(blocks: Sequence[str]) -> Policy:
    """A policy that knows the block to which a node belongs."""
    return Policy(fixed=_ANY, blocks=dict.fromkeys(blocks, _ANY))


def holds_codes(graph: fx.GraphModule, node: fx.Node) -> bool:
    """True where a node makes a tensor of its own, of codes or in a block in floats."""
    if node.meta.get(FLOATS):
        return True
    if node.op == "call_module":
        return isinstance(graph.get_submodule(str(node.target)), ActivationQuantizer)
    operation = operation_of(node.target) if node.op == "call_function" else None
    return operation is not None and operation.role is Role.LAYOUT and operation.copies


def sources_of(node: fx.Node, order: dict[fx.Node, int]) -> list[fx.Node]:
    """The tensors that a step reads: behind aliases, and behind what runs fused with it."""
    sources: list[fx.Node] = []
    waiting = list(node.all_input_nodes)
    while waiting:
        source = waiting.pop()
        if source in order:
            sources.append(source)
        else:
            waiting += source.all_input_nodes
    return sources


def values_of(node: fx.Node) -> int:
    """Bytes of what a node gives for one image: as many as values where it has codes, else four each."""
    return values_of_one(node) * (4 if node.meta.get(FLOATS) else 1)


def live_bytes(tensors: Sequence[Tensor]) -> list[int]:
    """Per step the bytes of all tensors that live while it runs.

    Example:
        >>> live_bytes([Tensor(block="", size=4, made=0, last=1), Tensor(block="", size=6, made=1, last=2)])
        [4, 10]
    """
    steps = [tensor.made for tensor in tensors]
    return [sum(tensor.size for tensor in tensors if tensor.made <= step <= tensor.last) for step in steps]


def peak_memory(network: QuantizedNetwork) -> int:
    """The most bytes of activations that live at once, for one image."""
    return max(live_bytes(tensors_of(network)), default=0)


def block_peaks(network: QuantizedNetwork) -> tuple[int, int]:
    """Peaks of a block alone, its input included: with the input gone once it is read, and with it kept to the end."""
    tensors = tensors_of(network)
    kept = [replace(tensor, last=len(tensors)) if tensor.made == 0 else tensor for tensor in tensors]
    return max(live_bytes(tensors), default=0), max(live_bytes(kept), default=0)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Memory in use around a block while it runs.

    Attributes:
        others: bytes of tensors that are neither made by the block nor its input.
        kept: its input is read again after it.
    """

    others: int
    kept: bool


def surroundings(network: QuantizedNetwork, blocks: Sequence[str]) -> tuple[dict[str, Surroundings], int]:
    """Memory in use around each block of a whole network, and the peak while its fixed part runs."""
    tensors = tensors_of(network, blocks)
    live = live_bytes(tensors)
    around = {}
    for block in blocks:
        steps = [tensor.made for tensor in tensors if tensor.block == block]
        if not steps:
            around[block] = Surroundings(others=0, kept=False)
            continue
        first, end = min(steps), max(steps)
        before = [tensor for tensor in tensors if tensor.made < first and tensor.last >= first]
        # A tensor that dies inside the block is its input; an input that lives on is known by the nodes that read it.
        across = [tensor for tensor in before if tensor.last > end]
        source = _input_of(network, tensors, block)
        kept = any(tensor.made == source for tensor in across)
        around[block] = Surroundings(others=sum(t.size for t in across if t.made != source), kept=kept)
    fixed = [size for tensor, size in zip(tensors, live, strict=True) if not tensor.block]
    return around, max(fixed, default=0)


def _input_of(network: QuantizedNetwork, tensors: Sequence[Tensor], block: str) -> int:
    """The step that makes the input of a block, -1 where nothing before it is read."""
    graph = network.graph
    nodes = [node for node in graph.graph.nodes if holds_codes(graph, node) and node != last_upsampling(graph)]
    order = {node: index for index, node in enumerate(nodes)}
    inside = {tensor.made for tensor in tensors if tensor.block == block}
    read = {order[source] for step in inside for source in sources_of(nodes[step], order)} - inside
    return max(read, default=-1)
