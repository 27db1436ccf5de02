"""A network as a flat graph of ATen operations with BatchNorm folded: what quantization and cost counting work on."""

from typing import Any

from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.constants import fold_constants, share_tensors
from evo_qnas.networks.capture.decomposition import decomposed
from evo_qnas.networks.capture.exporting import FAILURES, Example, export_program, refusal, without_warnings
from evo_qnas.networks.capture.normalization import fold_batch_norm
from evo_qnas.networks.capture.operations.operation import ATEN, Role, arguments_of
from evo_qnas.networks.capture.operations.registry import Overloads, operation_of
from evo_qnas.networks.capture.repeated import fold_repeated
from evo_qnas.networks.capture.rewriting import make_plain, products_to_linear, simplify
from evo_qnas.networks.capture.signature import results_of
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
    "static_batch",
    "value",
]

CONVOLUTIONS, LINEAR = Overloads(Role.CONVOLUTION), Overloads(Role.LINEAR)
ACTIVATIONS, LAYOUT = Overloads(Role.ACTIVATION), Overloads(Role.LAYOUT)


def capture(network: nn.Module, example: Example) -> fx.GraphModule:
    """A graph of `network` in evaluation mode, for any batch size, with BatchNorm folded into convolutions.

    The network itself stays unchanged; the graph has copies of its weights. Node `meta["nn_module_stack"]` tells from
    which submodule an operation comes. Nothing in the graph writes in place; what depends on no input is one tensor;
    operations that the registry does not know are taken apart where torch can.

    Args:
        network: takes and gives any nesting of tuples, lists, dicts and tensors, one example of a batch being a row.
        example: a tensor, a tuple of positional arguments, or a mapping of arguments by name.

    Raises:
        NetworkError: torch.export cannot capture the network.
    """
    program, batch = export_program(network, example)
    try:
        program = decomposed(program)
    except FAILURES as error:
        raise refusal(network, error) from error
    # A module returned unlifted still guards its input's shape; nothing here depends on those guards.
    with without_warnings():
        module = program.module(check_guards=False)
    graph = fx.GraphModule(module, module.graph)
    graph.meta["static_batch"] = batch
    for parameter in graph.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    make_plain(graph)
    share_tensors(graph)
    fold_constants(graph)
    fold_repeated(graph)
    simplify(graph)
    products_to_linear(graph)
    fold_batch_norm(graph)
    return graph


def static_batch(graph: fx.GraphModule) -> int | None:
    """The number of examples for which a graph was made, None for any."""
    size: int | None = graph.meta.get("static_batch")
    return size


def last_upsampling(graph: fx.GraphModule) -> fx.Node | None:
    """The up-sampling whose result is the network's output, None where the network does not end in one.

    A runtime has to compute what comes before it: the low-resolution logits of a segmentation network.
    """
    results = results_of(graph)
    last = results[0]
    if len(results) != 1 or not isinstance(last, fx.Node):
        return None
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
