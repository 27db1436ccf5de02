"""Tensors of a captured graph: what its `get_attr` nodes stand for."""

from typing import Any

import torch
from torch import fx, nn

__all__ = ["FLOAT_PART", "drop_unread", "float_part_name", "own_float_parts", "put", "replace_by_tensor", "value"]

# Stored names of float parts begin so: no layer or quantizer, which are called as operations of ATen, does.
FLOAT_PART = "float."


def value(graph: fx.GraphModule, node: Any) -> torch.Tensor | None:
    """The tensor that a `get_attr` node stands for, None for anything else."""
    if not isinstance(node, fx.Node) or node.op != "get_attr":
        return None
    holder: Any = graph
    for part in str(node.target).split("."):
        holder = getattr(holder, part)
    return holder if isinstance(holder, torch.Tensor) else None


def float_part_name(node: fx.Node) -> str:
    """The name under which the tensor of a `get_attr` node is stored."""
    return f"{FLOAT_PART}{node.target}"


def put(graph: fx.GraphModule, target: str, tensor: torch.Tensor, *, learns: bool) -> None:
    """Puts a copy of a tensor at `target`, as a parameter where it learns, else as a buffer."""
    *path, name = target.split(".")
    holder: nn.Module = graph
    for part in path:
        if not hasattr(holder, part):
            holder.add_module(part, nn.Module())
        holder = getattr(holder, part)
    if hasattr(holder, name):
        delattr(holder, name)
    own = tensor.detach().clone()
    if learns:
        holder.register_parameter(name, nn.Parameter(own))
    else:
        holder.register_buffer(name, own)


def replace_by_tensor(graph: fx.GraphModule, node: fx.Node, tensor: torch.Tensor, *, learns: bool) -> fx.Node:
    """Replaces a node by a `get_attr` node of a copy of `tensor`, called `folded_...`; gives the new node."""
    target = f"folded_{node.name}"
    put(graph, target, tensor, learns=learns)
    with graph.graph.inserting_before(node):
        new = graph.graph.get_attr(target)
    new.meta = dict(node.meta)
    node.replace_all_uses_with(new)
    graph.graph.erase_node(node)
    return new


def drop_unread(graph: fx.GraphModule) -> None:
    """Removes tensors of a graph that no node reads and no module of it has."""
    read = {str(node.target) for node in graph.graph.nodes if node.op == "get_attr"}
    modules = tuple(f"{node.target}." for node in graph.graph.nodes if node.op == "call_module")
    tensors = [*graph.named_parameters(remove_duplicate=False), *graph.named_buffers(remove_duplicate=False)]
    for name, _ in tensors:
        if name not in read and not name.startswith(modules):
            path, _, last = name.rpartition(".")
            delattr(graph.get_submodule(path), last)


def own_float_parts(graph: fx.GraphModule) -> None:
    """Gives a graph copies of its own of the tensors of its `get_attr` nodes; floating parameters learn."""
    done: set[str] = set()
    for node in graph.graph.nodes:
        tensor = value(graph, node)
        if tensor is not None and str(node.target) not in done:
            done.add(str(node.target))
            node.meta.setdefault("val", torch.empty_like(tensor, device="meta"))
            learns = isinstance(tensor, nn.Parameter) and tensor.is_floating_point()
            put(graph, str(node.target), tensor, learns=learns)
