"""Whole networks from the models of their parts: the same models as assembling and exporting them anew."""

from collections.abc import Iterable, Mapping
from typing import Any

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.onnx.builder import DOMAIN, IR_VERSION, OPSET

# Notes of a fixed part's model: this and the name of a block, and the tensor that the block reads.
INPUT_NOTE = "takes/"


def output_name(block: str) -> str:
    """The input of a fixed part's model that stands for the output of a block."""
    return f"from_{block}"


def compose(fixed: Any, blocks: Mapping[str, Any | None]) -> Any:
    """The ONNX model of a whole network.

    Args:
        fixed: model of the fixed part, as `part_to_onnx` makes it with `Part(blocks=...)`.
        blocks: per block its model with codes in and out (`Part(codes=True)`), None where the block does nothing.

    Raises:
        NetworkError: the fixed part does not name the input of a block.
    """
    import onnx
    from onnx import helper

    inputs = {
        entry.key.removeprefix(INPUT_NOTE): entry.value
        for entry in fixed.metadata_props
        if entry.key.startswith(INPUT_NOTE)
    }
    nodes, constants = [_renamed(node, {}) for node in fixed.graph.node], list(fixed.graph.initializer)
    functions = {function.name: function for function in fixed.functions}
    for block, model in blocks.items():
        if block not in inputs:
            raise NetworkError(f"the fixed part does not know the block {block!r}: it has {', '.join(inputs)}")
        if model is None:
            nodes.append(helper.make_node("Identity", [inputs[block]], [output_name(block)]))
            continue
        signature = {"image": inputs[block], "logits": output_name(block)}
        names = _Prefixed(f"{block}/", signature)
        nodes += [_renamed(node, names) for node in model.graph.node]
        constants += [_constant(tensor, names[tensor.name]) for tensor in model.graph.initializer]
        functions |= {function.name: function for function in model.functions}
    graph = helper.make_graph(
        _in_order(nodes, {"image", *(tensor.name for tensor in constants)}),
        "network",
        [tensor for tensor in fixed.graph.input if tensor.name == "image"],
        [tensor for tensor in fixed.graph.output if tensor.name == "logits"],
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
        placed = {id(node) for node in ready}
        rest = [node for node in rest if id(node) not in placed]
    return ordered
