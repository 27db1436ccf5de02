"""A network as a flat graph of ATen operations with BatchNorm folded: what quantization and cost counting work on."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError

ATEN = torch.ops.aten
CONVOLUTIONS = (ATEN.conv2d.default, ATEN.conv2d.padding, ATEN.conv1d.default)
LINEAR = (ATEN.linear.default,)
ACTIVATIONS = (
    ATEN.relu.default,
    ATEN.relu_.default,
    ATEN.relu6.default,
    ATEN.relu6_.default,
    ATEN.hardtanh.default,
    ATEN.hardtanh_.default,
)
# Operations that only move values, or choose among them: their output needs no range of its own.
MOVES = (
    ATEN.flatten.using_ints,
    ATEN.view.default,
    ATEN.reshape.default,
    ATEN.permute.default,
    ATEN.transpose.int,
    ATEN.squeeze.dim,
    ATEN.squeeze.dims,
    ATEN.unsqueeze.default,
    ATEN.slice.Tensor,
    ATEN.select.int,
    ATEN.dropout.default,
    ATEN.dropout_.default,
    ATEN.max_pool2d.default,
    ATEN.pad.default,
    ATEN.constant_pad_nd.default,
    ATEN.contiguous.default,
    ATEN.clone.default,
    ATEN.alias.default,
    ATEN.upsample_nearest2d.vec,
    ATEN.expand.default,
)
UPSAMPLINGS = (ATEN.upsample_bilinear2d.vec, ATEN.upsample_nearest2d.vec)
_PLAIN = {
    ATEN.relu_.default: ATEN.relu.default,
    ATEN.relu6_.default: ATEN.relu6.default,
    ATEN.hardtanh_.default: ATEN.hardtanh.default,
    ATEN.add_.Tensor: ATEN.add.Tensor,
    ATEN.mul_.Tensor: ATEN.mul.Tensor,
    ATEN.dropout_.default: ATEN.dropout.default,
}


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
    place: Any = graph
    for part in str(node.target).split("."):
        place = getattr(place, part)
    return place if isinstance(place, torch.Tensor) else None


def last_upsampling(graph: fx.GraphModule) -> fx.Node | None:
    """The up-sampling whose result is the network's output, None where the network does not end in one.

    What a segmentation network gives before it, its low-resolution logits, is what a runtime has to compute.
    """
    output: Any = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    last = output[0] if isinstance(output, (tuple, list)) else output
    return last if last.op == "call_function" and last.target in UPSAMPLINGS else None


def source_of(node: fx.Node) -> Any:
    """The first argument of a node, for what works on one tensor: a node, which torch's types do not promise."""
    return node.args[0]


def arguments_of(node: fx.Node) -> list[Any]:
    """All arguments of a node in the operation's order, defaults filled in."""
    schema: Any = node.target._schema  # type: ignore[union-attr]  # callers pass operations of ATen alone
    found: list[Any] = []
    for index, argument in enumerate(schema.arguments):
        if index < len(node.args):
            found.append(node.args[index])
        elif argument.name in node.kwargs:
            found.append(node.kwargs[argument.name])
        else:
            found.append(argument.default_value if argument.has_default_value() else None)
    return found


def limits_of(node: fx.Node) -> tuple[float, float]:
    """The values to which a ReLU, ReLU6 or hardtanh cuts its input."""
    if node.target in {ATEN.hardtanh.default, ATEN.hardtanh_.default}:
        low, high = arguments_of(node)[1:]
        return float(low), float(high)
    return 0.0, 6.0 if node.target in {ATEN.relu6.default, ATEN.relu6_.default} else math.inf


def _make_plain(graph: fx.GraphModule) -> None:
    """Replaces operations that write in place by their plain twins, so that quantizers may stand between them.

    Up-sampling of a single value per channel (a pooled map) becomes what it is, a copy to every place.
    """
    for node in graph.graph.nodes:
        if node.op != "call_function":
            continue
        node.target = _PLAIN.get(node.target, node.target)
        if node.target in UPSAMPLINGS and tuple(node.args[0].meta["val"].shape[2:]) == (1, 1):
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
