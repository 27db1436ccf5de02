"""A network as a flat graph of ATen operations with BatchNorm folded: what quantization and cost counting work on."""

from typing import Any

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.operations.operation import ATEN, Role, arguments_of
from evo_qnas.networks.capture.operations.registry import Overloads, operation_of

__all__ = [
    "ACTIVATIONS",
    "ATEN",
    "CONVOLUTIONS",
    "LAYOUT",
    "LINEAR",
    "arguments_of",
    "capture",
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
    _fold_batch_norm(graph)
    return graph


def value(graph: fx.GraphModule, node: Any) -> torch.Tensor | None:
    """The tensor that a `get_attr` node stands for, None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    holder: Any = graph
    for part in str(node.target).split("."):
        holder = getattr(holder, part)
    return holder if isinstance(holder, torch.Tensor) else None


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


def _fold_batch_norm(graph: fx.GraphModule) -> None:
    """Folds each BatchNorm that follows a convolution as its only reader into the convolution's weight and bias."""
    for node in list(graph.graph.nodes):
        if node.op != "call_function" or node.target is not ATEN.batch_norm.default:
            continue
        source = node.args[0]
        if source.op != "call_function" or source.target not in CONVOLUTIONS or len(source.users) != 1:
            continue
        weight = value(graph, source.args[1])
        if weight is None:
            continue
        bias = value(graph, source.args[2]) if len(source.args) > 2 else None
        gamma, beta, mean, variance = (value(graph, argument) for argument in node.args[1:5])
        if mean is None or variance is None:
            continue
        factor = torch.rsqrt(variance + float(node.args[7]))
        factor = factor if gamma is None else factor * gamma
        shift = -mean if bias is None else bias - mean
        folded = shift * factor + (0.0 if beta is None else beta)
        name = f"folded_{node.name}"
        shape = (-1,) + (1,) * (weight.ndim - 1)
        graph.register_parameter(f"{name}_weight", nn.Parameter((weight * factor.view(shape)).detach().clone()))
        graph.register_parameter(f"{name}_bias", nn.Parameter(folded.detach().clone()))
        with graph.graph.inserting_before(source):
            new_weight = graph.graph.get_attr(f"{name}_weight")
            new_bias = graph.graph.get_attr(f"{name}_bias")
        source.args = (source.args[0], new_weight, new_bias, *source.args[3:])
        node.replace_all_uses_with(source)
        graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.delete_all_unused_submodules()
    graph.recompile()
