"""What a captured network takes and gives: any nesting of tensors, and names for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch.fx import _pytree as fx_pytree
from torch.utils import _pytree as pytree

from evo_qnas.networks.capture.exporting import Example, arguments_of_example

__all__ = [
    "IMAGE",
    "LOGITS",
    "input_leaves",
    "input_names",
    "named_arguments",
    "nested_output",
    "output_names",
    "results_of",
    "tensor_inputs",
]

IMAGE, LOGITS = "image", "logits"


def input_leaves(graph: fx.GraphModule, example: Example) -> list[Any]:
    """The values of a graph's placeholders, in order, for what its network takes."""
    arguments, keywords = arguments_of_example(example)
    information = _information(graph)
    positional, by_name = information.in_spec.children()
    names = information.orig_args[: positional.num_children]
    given = dict(zip(information.orig_args, arguments, strict=False)) | keywords
    nested = ([given[name] for name in names], {name: given[name] for name in by_name.context or ()})
    leaves: list[Any] = fx_pytree.tree_flatten_spec(nested, information.in_spec)
    return leaves


def named_arguments(graph: fx.GraphModule, arguments: Sequence[Any]) -> dict[str, Any]:
    """Arguments by position with their names."""
    information = _information(graph)
    return dict(zip(information.orig_args, arguments, strict=False))


def results_of(graph: fx.GraphModule) -> list[Any]:
    """The nodes whose values a graph gives, flat; what is no node is given as it is."""
    given: Any = next(node for node in graph.graph.nodes if node.op == "output").args[0]
    return list(given) if isinstance(given, (tuple, list)) else [given]


def nested_output(graph: fx.GraphModule, leaves: Sequence[Any]) -> Any:
    """Values of `results_of` in the nesting in which the network gives them."""
    information = _information(graph)
    return pytree.tree_unflatten(list(leaves), information.out_spec)


def _information(graph: fx.GraphModule) -> Any:
    """Names of arguments, and the nesting of what goes in and comes out; a graph that was built by hand has none."""
    codegen: Any = graph.graph._codegen
    if isinstance(codegen, fx.graph._PyTreeCodeGen):
        return codegen.pytree_info
    names = [node.name for node in graph.graph.nodes if node.op == "placeholder"]
    results = results_of(graph)
    given = pytree.tree_structure(0 if len(results) == 1 else [0] * len(results))
    return fx.graph._PyTreeInfo(names, pytree.tree_structure(((0,) * len(names), {})), given)


def tensor_inputs(graph: fx.GraphModule) -> list[fx.Node]:
    """The placeholders that take tensors."""
    return [n for n in graph.graph.nodes if n.op == "placeholder" and isinstance(n.meta.get("val"), torch.Tensor)]


def input_names(graph: fx.GraphModule) -> Mapping[fx.Node, str]:
    """Names of tensors that go in, in files: `image` for a single float one, else those of arguments."""
    nodes = tensor_inputs(graph)
    if len(nodes) == 1 and nodes[0].meta["val"].is_floating_point():
        return {nodes[0]: IMAGE}
    return {node: node.name for node in nodes}


def output_names(graph: fx.GraphModule) -> list[str]:
    """Names of what comes out, in files: `logits` for one tensor, else paths such as `boxes.0`; "" for no tensor."""
    results = results_of(graph)
    tensors = [result for result in results if isinstance(result, fx.Node)]
    if len(tensors) == 1:
        return [LOGITS if isinstance(result, fx.Node) else "" for result in results]
    paths, _ = pytree.tree_flatten_with_path(nested_output(graph, range(len(results))))
    names = [".".join(_part(key) for key in path) or LOGITS for path, _ in paths]
    plain = [f"output.{name}" if name[:1].isdigit() else name for name in names]
    return [name if isinstance(result, fx.Node) else "" for name, result in zip(plain, results, strict=True)]


def _part(key: Any) -> str:
    if isinstance(key, pytree.SequenceKey):
        return str(key.idx)
    return str(key.key) if isinstance(key, pytree.MappingKey) else str(getattr(key, "name", key))
