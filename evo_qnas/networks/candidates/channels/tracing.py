"""A block as a graph of ATen operations, layers as a whole, with the names of its parameters."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from evo_qnas.networks.capture.exporting import without_warnings


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What a block computes for a batch of one size.

    Attributes:
        graph: its operations in order.
        names: by attribute of the graph the name that a parameter or buffer has in the block; other constants of the
            graph have none.
        batch: number of examples.
    """

    graph: fx.GraphModule
    names: Mapping[str, str]
    batch: int


def name_of(node: fx.Node) -> str:
    """The name of a node's operation, without the underscore of those that write in place; "" where it calls none."""
    packet = getattr(node.target, "overloadpacket", None)
    if node.op != "call_function":
        return ""
    return str(packet.__name__).removesuffix("_") if packet is not None else getattr(node.target, "__name__", "")


@torch.no_grad()
def trace(block: nn.Module, inputs: tuple[int, ...], batch: int = 2) -> Trace | None:
    """The operations of a block in evaluation mode, None where it does not take such an input or cannot be followed.

    Args:
        block: keeps its mode and values.
        inputs: shape without the batch.
        batch: number of examples; numbers that depend on it stand in the graph as they are.
    """

    def run(x: torch.Tensor) -> Any:
        return block(x)

    device = next((parameter.device for parameter in block.parameters()), torch.device("cpu"))
    with _evaluated(block), torch.device(device):
        try:
            graph = make_fx(run, pre_dispatch=True)(torch.zeros(batch, *inputs))
        except Exception:  # a module of anyone's on an input that it may not take
            return None
    if not isinstance(_output(graph), fx.Node):
        return None
    known = {id(tensor): name for name, tensor in (*block.named_parameters(), *block.named_buffers())}
    found = {str(node.target): getattr(graph, str(node.target)) for node in graph.graph.nodes if node.op == "get_attr"}
    names = {attribute: known[id(tensor)] for attribute, tensor in found.items() if id(tensor) in known}
    return Trace(graph=graph, names=names, batch=batch)


def _output(graph: fx.GraphModule) -> Any:
    return next(node for node in graph.graph.nodes if node.op == "output").args[0]


@contextmanager
def _evaluated(block: nn.Module) -> Iterator[None]:
    """Evaluation mode, and attention by its operations; what stood before comes back."""
    modes = [(part, part.training) for part in block.modules()]
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    block.eval()
    try:
        with without_warnings():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, mode in modes:
            part.training = mode
