"""What is computed in floats: marks on the nodes of a quantized graph, and the rounding of parameters to 16 bits."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.networks.capture.graph import value
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.quantization.policy import FLOAT_ACTIVATION_BITS, Policy

__all__ = ["BITS", "FLOATS", "HALF", "bits_of_product", "mark_floats", "rounded_to_half"]

# Keys of `meta`: a parameter that is stored at 16 bits; the bits of weights and activations of a product in floats; a
# node that makes a tensor of floats of its own.
HALF, BITS, FLOATS = "half", "bits", "floats"
_LARGEST_HALF = torch.finfo(torch.float16).max


def mark_floats(graph: fx.GraphModule, policy: Policy, producer_of: Callable[[fx.Node], fx.Node]) -> None:
    """Marks parameters that are stored at 16 bits, and what is computed in floats.

    Args:
        graph: with quantizers and layers in it.
        policy: bits of each part.
        producer_of: gives the node whose codes a node has.
    """
    narrow: dict[str, bool] = {}
    tensors = [node for node in graph.graph.nodes if node.op == "get_attr"]
    for node in tensors:
        parameter = isinstance(value(graph, node), nn.Parameter)
        # One that a block of other bits reads too keeps its width.
        own = parameter and all(policy.bits_of(policy.block_of(user)).weight == 16 for user in node.users)
        narrow[str(node.target)] = narrow.get(str(node.target), True) and own
    for node in tensors:
        if narrow[str(node.target)]:
            node.meta[HALF] = True
    for node in graph.graph.nodes:
        if node.op != "call_function" or not policy.stays_float(node):
            continue
        if node.meta.get("macs"):
            node.meta[BITS] = [_weight_bits(graph, node), FLOAT_ACTIVATION_BITS]
        if _makes_floats(node, producer_of):
            node.meta[FLOATS] = True


def _makes_floats(node: fx.Node, producer_of: Callable[[fx.Node], fx.Node]) -> bool:
    """True where a node gives a tensor of floats of its own: no view, no activation, which works in place, no codes."""
    made, operation = node.meta.get("val"), operation_of(node.target)
    if not isinstance(made, torch.Tensor) or not made.is_floating_point():
        return False
    if operation is None or operation.role not in {Role.LAYOUT, Role.ACTIVATION, Role.SHAPE}:
        return True
    return operation.role is Role.LAYOUT and operation.copies and producer_of(node).op == "call_function"


def _weight_bits(graph: fx.GraphModule, node: fx.Node) -> int:
    """Bits of the narrowest tensor of the network's own that a product multiplies."""
    own = [source for source in node.all_input_nodes if value(graph, source) is not None]
    return 16 if any(source.meta.get(HALF) for source in own) else FLOAT_ACTIVATION_BITS


def bits_of_product(node: fx.Node) -> tuple[int, int] | None:
    """Bits of weights and activations of a product in floats, None for one of codes."""
    bits = node.meta.get(BITS)
    return None if bits is None else (int(bits[0]), int(bits[1]))


def rounded_to_half(tensor: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
    """The nearest values that 16 bits hold, float16; what lies beyond all of them becomes the largest.

    Example:
        >>> rounded_to_half(torch.tensor([1.0001, 1e6])).tolist()
        [1.0, 65504.0]
    """
    return tensor.detach().clamp(-_LARGEST_HALF, _LARGEST_HALF).to(torch.float16)
