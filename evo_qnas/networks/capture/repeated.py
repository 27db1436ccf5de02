"""Folding what depends on nothing but the number of examples: masks and positions become one row, repeated."""

from contextlib import suppress
from typing import Any

import torch
from torch import fx, nn

from evo_qnas.networks.capture.constants import erase_unread, foldable
from evo_qnas.networks.capture.operations.operation import ATEN
from evo_qnas.networks.capture.tensors import put, value

# Two numbers of examples that no other axis is likely to have; what is the same for both is so for any.
_COUNTS = (2, 5)


def fold_repeated(graph: fx.GraphModule) -> None:
    """Replaces each tensor that has the same row for every example by that row, repeated.

    Transformers make masks of the batch size alone, by way of indices over the batch that runtimes would have to
    compute. What is made from a parameter stays, so that it learns.
    """
    first, second = (_values(graph, count) for count in _COUNTS)
    sizes: list[fx.Node] = []
    for node in list(graph.graph.nodes):
        if _counts_examples(node):
            sizes.append(node)
        read = any(reader not in first for reader in node.users)
        if not sizes or node not in first or node not in second or not read or node.op != "call_function":
            continue
        row = _row(first[node], second[node])
        if row is None or (node.target is ATEN.expand.default and value(graph, node.args[0]) is not None):
            continue
        target = f"repeated_{node.name}"
        put(graph, target, row, learns=False)
        with graph.graph.inserting_before(node):
            new = graph.graph.get_attr(target)
        new.meta = {**node.meta, "val": row.to("meta")}
        node.target, node.kwargs = ATEN.expand.default, {}
        node.args = (new, [sizes[0], *[-1] * (row.ndim - 1)])
    erase_unread(graph)


def _counts_examples(node: fx.Node) -> bool:
    """True for the number of rows of an input."""
    if node.op != "call_function" or node.target is not ATEN.sym_size.int or node.args[1] != 0:
        return False
    source = node.args[0]
    return isinstance(source, fx.Node) and source.op == "placeholder"


def _values(graph: fx.GraphModule, count: int) -> dict[fx.Node, Any]:
    """What each node gives for so many examples, of those that depend on no input's values and on no parameter."""
    known: dict[fx.Node, Any] = {}
    with torch.no_grad():
        for node in graph.graph.nodes:
            tensor = value(graph, node)
            if _counts_examples(node):
                known[node] = count
            elif tensor is not None and not isinstance(tensor, nn.Parameter):
                known[node] = tensor
            elif _computes(node) and all(source in known for source in node.all_input_nodes):
                arguments = fx.node.map_arg(node.args, known.__getitem__)
                # What holds for the captured number of examples alone is left as it is.
                with suppress(RuntimeError, ValueError, TypeError, IndexError):
                    known[node] = node.target(*arguments, **fx.node.map_arg(node.kwargs, known.__getitem__))
    return known


def _computes(node: fx.Node) -> bool:
    """True for a function of its arguments, Python's own of numbers among them."""
    return foldable(node) or (node.op == "call_function" and getattr(node.target, "__module__", "") == "_operator")


def _row(first: Any, second: Any) -> torch.Tensor | None:
    """The row of a tensor that repeats it, (1, ...); None where it does not."""
    if not isinstance(first, torch.Tensor) or not isinstance(second, torch.Tensor) or not first.ndim:
        return None
    if (len(first), len(second)) != _COUNTS or first.shape[1:] != second.shape[1:]:
        return None
    row = first[:1].clone()
    same = torch.equal(row.expand_as(first), first) and torch.equal(row.expand_as(second), second)
    return row if same else None
