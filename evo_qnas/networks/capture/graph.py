"""A network as a flat graph of ATen operations with BatchNorm folded: what quantization and cost counting work on."""

from typing import Any

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.constants import fold_constants, share_tensors
from evo_qnas.networks.capture.normalization import fold_batch_norm
from evo_qnas.networks.capture.operations.operation import ATEN, Role, arguments_of
from evo_qnas.networks.capture.operations.registry import Overloads, operation_of
from evo_qnas.networks.capture.tensors import float_part_name, value

__all__ = [
    "ACTIVATIONS",
    "ATEN",
    "CONVOLUTIONS",
    "LAYOUT",
    "LINEAR",
    "arguments_of",
    "capture",
    "float_part_name",
    "last_upsampling",
    "limits_of",
    "source_of",
    "value",
]

CONVOLUTIONS, LINEAR = Overloads(Role.CONVOLUTION), Overloads(Role.LINEAR)
ACTIVATIONS, LAYOUT = Overloads(Role.ACTIVATION), Overloads(Role.LAYOUT)


def capture(network: nn.Module, example: Float[torch.Tensor, "n ..."]) -> fx.GraphModule:
    """A graph of `network` in evaluation mode, for any batch size, with BatchNorm folded into convolutions.

    The network itself stays unchanged; the graph has copies of its weights. Node `meta["nn_module_stack"]` tells from
    which submodule an operation comes.

    Raises:
        NetworkError: torch.export cannot capture the network, or it does not give one tensor.
    """
    network.eval()
    batch = example if len(example) > 1 else torch.cat([example, example])
    try:
        program = torch.export.export(network, (batch,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    except (RuntimeError, ValueError, TypeError, AssertionError, torch._dynamo.exc.TorchDynamoException) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise NetworkError(f"torch.export cannot capture {type(network).__name__}: {first}") from error
    # A module returned unlifted still guards its input's shape; nothing here depends on those guards.
    module = program.module(check_guards=False)
    graph = fx.GraphModule(module, module.graph)
    output = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    if isinstance(output, (tuple, list)) and len(output) != 1:
        raise NetworkError(f"{type(network).__name__} must give one tensor, it gives {len(output)}")
    for parameter in graph.parameters():
        parameter.requires_grad_(True)
    _make_plain(graph)
    share_tensors(graph)
    fold_constants(graph)
    fold_batch_norm(graph)
    return graph


def last_upsampling(graph: fx.GraphModule) -> fx.Node | None:
    """The up-sampling whose result is the network's output, None where the network does not end in one.

    A runtime has to compute what comes before it: the low-resolution logits of a segmentation network.
    """
    output: Any = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    last = output[0] if isinstance(output, (tuple, list)) else output
    operation = operation_of(last.target) if last.op == "call_function" else None
    return last if operation is not None and operation.resizes else None


def source_of(node: fx.Node) -> Any:
    """The first argument of a node, for what works on one tensor: a node, which torch's types do not promise."""
    return node.args[0]


def limits_of(node: fx.Node) -> tuple[float, float]:
    """The values to which an activation cuts its input.

    Raises:
        NetworkError: the node is no activation.
    """
    operation = operation_of(node.target)
    if operation is None or operation.limits is None:
        raise NetworkError(f"{node.target} ({node.name}) cuts nothing to limits")
    return operation.limits(node)


def _make_plain(graph: fx.GraphModule) -> None:
    """Replaces operations that write in place by plain ones, so that quantizers may stand between them.

    Up-sampling of a single value per channel (a pooled map) becomes what it is, a copy to every place.
    """
    for node in graph.graph.nodes:
        operation = operation_of(node.target) if node.op == "call_function" else None
        if operation is None:
            continue
        node.target = operation.plain.get(node.target, node.target)
        if operation.resizes and tuple(node.args[0].meta["val"].shape[2:]) == (1, 1):
            height, width = node.meta["val"].shape[2:]
            node.target, node.args, node.kwargs = ATEN.expand.default, (node.args[0], [-1, -1, height, width]), {}
    graph.recompile()
