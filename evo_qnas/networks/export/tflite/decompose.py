"""Operations without a row of their own, as graphs of the operations that torch itself takes them apart into."""

from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from evo_qnas.networks.capture.graph import ATEN
from evo_qnas.networks.export.tflite.values import one_image

# Operations that are taken apart into ones with a row, as tests of files show; there are more.
DECOMPOSED = frozenset(
    {
        *(ATEN.einsum.default, ATEN.im2col.default, ATEN.logsumexp.default, ATEN.triu.default, ATEN.tril.default),
        *(ATEN.hardshrink.default, ATEN.softshrink.default),
    }
)


def decomposed(node: fx.Node, inputs: list[fx.Node]) -> fx.GraphModule | None:
    """A graph of core operations that computes a node for one image, from its tensor inputs in order.

    None where torch takes it apart no further, or cannot.
    """
    target: Any = node.target
    examples = [_example(source) for source in inputs]
    places = {source: index for index, source in enumerate(inputs)}

    def run(*tensors: torch.Tensor) -> Any:
        def given(argument: Any) -> Any:
            if isinstance(argument, fx.Node):
                return tensors[places[argument]] if argument in places else one_image(argument.meta["val"])
            if isinstance(argument, (list, tuple)):
                return [given(item) for item in argument]
            return argument

        keywords = {name: given(argument) for name, argument in node.kwargs.items()}
        return target(*given(list(node.args)), **keywords)

    table: Any = torch.export.default_decompositions()
    try:
        graph = make_fx(run, decomposition_table=table, tracing_mode="fake")(*examples)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):
        return None
    calls = [made for made in graph.graph.nodes if made.op == "call_function"]
    return None if any(made.target is target for made in calls) else graph


def _example(node: fx.Node) -> torch.Tensor:
    value = node.meta["val"]
    return torch.zeros([one_image(size) for size in value.shape], dtype=value.dtype)
