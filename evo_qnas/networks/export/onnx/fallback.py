"""Operations that no table knows, translated by torch's own exporter: a graph of one, taken over node by node."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.exporting import without_warnings
from evo_qnas.networks.export.onnx.builder import OPSET, GraphBuilder
from evo_qnas.networks.export.onnx.values import Floats

# What torch's exporter needs beside onnx.
_EXPORTER = "onnxscript"
WAY_OUT = (
    "register an `Operation` with a translation (docs/extending.md), keep the operation outside the network, "
    "or leave out the block it belongs to"
)


def translated_by_torch(builder: GraphBuilder, node: fx.Node, named: Callable[[Any], Any]) -> Any:
    """What a node gives, by the nodes that `torch.onnx.export` makes of its operation alone.

    Args:
        builder: of the graph.
        node: function of ATen, or of a library of the user's.
        named: gives the names of its tensor arguments.

    Raises:
        NetworkError: torch's exporter is not installed, or does not know the operation either.
    """
    where = f"{node.target} ({node.name}{line_of(node)}) has no ONNX translation here"
    if find_spec(_EXPORTER) is None:
        raise NetworkError(
            f"{where}; torch's own exporter may have one: pip install 'evo-qnas[onnx-fallback]', else {WAY_OUT}"
        )
    sources = [argument for argument in node.all_input_nodes if isinstance(argument.meta.get("val"), torch.Tensor)]
    try:
        model = _exported(node, sources)
    except Exception as error:  # torch's exporter raises what its operations raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NetworkError(f"{where}, and torch's exporter fails: {first}; {WAY_OUT}") from error
    names = {value.name: named(source) for value, source in zip(model.graph.input, sources, strict=True)}
    given = _taken_over(builder, model, names)
    results = [Floats(name=name) for name in given]
    return results[0] if isinstance(node.meta.get("val"), torch.Tensor) else results


def line_of(node: fx.Node) -> str:
    """The line of the user's code from which a node comes, as `, file.py:12`; empty where torch does not know it."""
    lines = [line.strip() for line in str(node.meta.get("stack_trace") or "").splitlines() if 'File "' in line]
    for line in reversed(lines):
        path, _, rest = line.removeprefix('File "').partition('", line ')
        if "/torch/" not in path and rest:
            return f", {path.rsplit('/', 1)[-1]}:{rest.partition(',')[0]}"
    return ""


def _exported(node: fx.Node, sources: list[fx.Node]) -> Any:
    """The ONNX model of one operation."""
    import onnx
    from onnx import inliner

    places = {source: place for place, source in enumerate(sources)}
    target: Any = node.target

    class _One(nn.Module):
        def forward(self, *tensors: torch.Tensor) -> Any:
            def put(argument: Any) -> Any:
                return fx.node.map_arg(argument, lambda source: tensors[places[source]])

            return target(*put(node.args), **put(node.kwargs))

    free = torch.export.Dim.DYNAMIC
    values = [source.meta["val"] for source in sources]
    examples = tuple(
        torch.zeros([int(size) if isinstance(size, int) else 2 for size in value.shape], dtype=value.dtype)
        for value in values
    )
    shapes = tuple(
        {axis: free for axis, size in enumerate(value.shape) if not isinstance(size, int)} for value in values
    )
    with without_warnings():
        program = torch.onnx.export(
            _One().eval(), examples, dynamo=True, opset_version=OPSET, dynamic_shapes=(shapes,), verbose=False
        )
    assert program is not None
    model = program.model_proto
    onnx.checker.check_model(model)
    return inliner.inline_local_functions(model)


def _taken_over(builder: GraphBuilder, model: Any, names: Mapping[str, str]) -> list[str]:
    """Adds the nodes of a model of one operation to a graph; gives the names of its results."""
    from onnx import numpy_helper

    known = {"": "", **names}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        known[tensor.name] = builder.constant(array, str(array.dtype))
    for entry in model.graph.node:
        known |= builder.copied(entry, known)
    return [known[value.name] for value in model.graph.output]
