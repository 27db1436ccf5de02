"""Whole networks put together from the models of their parts: what assembling and exporting them anew would give."""

from collections.abc import Iterable, Mapping
from typing import Any

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.onnx.builder import DOMAIN, IR_VERSION, OPSET

TAKES = "takes/"


def given_by(block: str) -> str:
    """The input of a fixed part's model that stands for what a block gives."""
    return f"from_{block}"


def compose(fixed: Any, blocks: Mapping[str, Any | None]) -> Any:
    """The ONNX model of a whole network.

    Args:
        fixed: model of the fixed part, as `part_to_onnx` makes it with `Part(blocks=...)`.
        blocks: per block its model with codes in and out (`Part(codes=True)`), None where the block does nothing.

    Raises:
        NetworkError: the fixed part does not name what a block takes.
    """
    import onnx
    from onnx import helper

    takes = {
        entry.key.removeprefix(TAKES): entry.value for entry in fixed.metadata_props if entry.key.startswith(TAKES)
    }
    nodes, constants = [_renamed(node, {}) for node in fixed.graph.node], list(fixed.graph.initializer)
    functions = {function.name: function for function in fixed.functions}
    for block, model in blocks.items():
        if block not in takes:
            raise NetworkError(f"the fixed part does not know the block {block!r}: it has {', '.join(takes)}")
        if model is None:
            nodes.append(helper.make_node("Identity", [takes[block]], [given_by(block)]))
            continue
        ends = {"image": takes[block], "logits": given_by(block)}
        names = _Prefixed(f"{block}/", ends)
        nodes += [_renamed(node, names) for node in model.graph.node]
        constants += [_constant(tensor, names[tensor.name]) for tensor in model.graph.initializer]
        functions |= {function.name: function for function in model.functions}
    graph = helper.make_graph(
        _in_order(nodes, {"image", *(tensor.name for tensor in constants)}),
        "network",
        [given for given in fixed.graph.input if given.name == "image"],
        [given for given in fixed.graph.output if given.name == "logits"],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(DOMAIN, 1)] if functions else [])]
    made = helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=IR_VERSION,
        producer_name="evo_qnas",
        functions=list(functions.values()),
    )
    onnx.checker.check_model(made, full_check=True)
    return made


class _Prefixed(dict[str, str]):
    """Names with a prefix, but for some with names of their own; "" stays."""

    def __init__(self, prefix: str, own: Mapping[str, str]) -> None:
        super().__init__({"": "", **own})
        self.prefix = prefix

    def __missing__(self, name: str) -> str:
        return self.prefix + name


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    from onnx import NodeProto

    copy = NodeProto()
    copy.CopyFrom(node)
    if names:
        for part in (copy.input, copy.output):
            part[:] = [names[name] for name in part]
    return copy


def _constant(tensor: Any, name: str) -> Any:
    from onnx import TensorProto

    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _in_order(nodes: Iterable[Any], known: set[str]) -> list[Any]:
    """Nodes such that each stands behind those it reads from.

    Raises:
        NetworkError: a node reads what nothing gives.
    """
    known = {*known, ""}
    ordered: list[Any] = []
    rest = list(nodes)
    while rest:
        ready = [node for node in rest if all(name in known for name in node.input)]
        if not ready:
            raise NetworkError(f"{rest[0].op_type} reads {list(rest[0].input)}, which no part gives")
        ordered += ready
        known.update(name for node in ready for name in node.output)
        taken = {id(node) for node in ready}
        rest = [node for node in rest if id(node) not in taken]
    return ordered
