"""A quantized graph as JSON, and back."""

from collections.abc import Mapping
from keyword import iskeyword
from typing import Any

import torch
from torch import fx, nn
from torch.utils import _pytree as pytree

from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle.arguments import argument_json, argument_of, target_of, target_text
from evo_qnas.networks.bundle.modules import module_json, modules_of
from evo_qnas.networks.capture.tensors import put, value
from evo_qnas.networks.quantization.floats import BITS, FLOATS, HALF
from evo_qnas.networks.quantization.quantize import QuantizedNetwork

# Of a node and of the graph: what quantization found out about them.
_NODE_FACTS = ("block", "name", "macs", "input_quantizer", HALF, BITS, FLOATS)
_GRAPH_FACTS = ("static_batch", "folded_macs")
_OPERATIONS = ("placeholder", "get_attr", "call_module", "call_function", "output")
# What torch and Python raise on graphs that are none.
_DAMAGE = (
    *(KeyError, TypeError, ValueError, IndexError, RuntimeError, AttributeError, AssertionError),
    *(SyntaxError, OverflowError, MemoryError, NotImplementedError, ImportError),
)
# What a file may hold as the type of a tensor.
_DTYPES = {str(kind).removeprefix("torch."): kind for kind in vars(torch).values() if isinstance(kind, torch.dtype)}


def graph_json(network: QuantizedNetwork) -> dict[str, Any]:
    """Nodes, modules and float parts of a network, and how its arguments and outputs are nested.

    Raises:
        NetworkError: an operation or an argument cannot be written.
    """
    graph = network.graph
    targets = {str(node.target): graph.get_submodule(str(node.target)) for node in _calls(graph)}
    names = {id(module): target for target, module in targets.items()}
    codegen: Any = graph.graph._codegen
    info = getattr(codegen, "pytree_info", None)
    return {
        "nodes": [_node_json(node) for node in graph.graph.nodes],
        "modules": {target: module_json(module, names) for target, module in targets.items()},
        "floats": {str(node.target): _float_json(graph, node) for node in graph.graph.nodes if node.op == "get_attr"},
        "facts": {name: graph.meta.get(name) for name in _GRAPH_FACTS},
        "arguments": None if info is None else list(info.orig_args),
        "in_spec": None if info is None else pytree.treespec_dumps(info.in_spec),
        "out_spec": None if info is None or info.out_spec is None else _spec_text(info.out_spec),
    }


def _calls(graph: fx.GraphModule) -> list[fx.Node]:
    return [node for node in graph.graph.nodes if node.op == "call_module"]


def _spec_text(spec: pytree.TreeSpec) -> str | None:
    """The nesting of outputs; None where it holds a class that only the model's owner has: a list stands for it."""
    try:
        return pytree.treespec_dumps(spec)
    except (NotImplementedError, ValueError):
        return None


def _node_json(node: fx.Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": node.name, "op": node.op}
    entry["target"] = target_text(node.target) if node.op == "call_function" else str(node.target)
    entry["arguments"] = argument_json(list(node.args))
    if node.kwargs:
        entry["keywords"] = {key: argument_json(item) for key, item in node.kwargs.items()}
    result = node.meta.get("val")
    if isinstance(result, torch.Tensor):
        entry["shape"] = [size if isinstance(size, int) else -1 for size in result.shape]
        entry["dtype"] = str(result.dtype).removeprefix("torch.")
    facts = {name: node.meta[name] for name in _NODE_FACTS if node.meta.get(name)}
    if facts:
        entry["facts"] = facts
    return entry


def _float_json(graph: fx.GraphModule, node: fx.Node) -> dict[str, Any]:
    tensor = value(graph, node)
    if tensor is None:
        raise NetworkError(f"{node.name} stands for no tensor")
    kind = str(tensor.dtype).removeprefix("torch.")
    return {"shape": list(tensor.shape), "dtype": kind, "learns": isinstance(tensor, nn.Parameter)}


def network_of(content: Mapping[str, Any]) -> QuantizedNetwork:
    """The network of a graph in JSON, its numbers all 0: `restore` brings them.

    Raises:
        NetworkError: the graph is damaged, or of a torch that has other operations.
    """
    try:
        return _network_of(content)
    except _DAMAGE as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(f"the bundle's graph is damaged: {type(error).__name__}: {str(error)[:200]}") from error


def _check_names(content: Mapping[str, Any]) -> None:
    """Refuses names that are no plain names: torch.fx writes a graph as Python code, and runs it.

    Raises:
        NetworkError: with the first of them.
    """
    for name in [*content["modules"], *content["floats"]]:
        _check_name(name, *name.split("."), start="_")
    if any("__enum__" in (content[key] or "") for key in ("in_spec", "out_spec")):
        # torch would import the module that is named there.
        raise NetworkError("the bundle's graph nests values by the members of an Enum, which are not read")
    for name in content["arguments"] or []:
        _check_name(name, name)
    for entry in content["nodes"]:
        if entry["op"] not in _OPERATIONS:
            raise NetworkError(f"the bundle's graph holds a node of the kind {str(entry['op'])[:60]!r}")
        _check_name(entry["name"], entry["name"], *entry.get("keywords", {}))
        if entry["op"] != "call_function":
            _check_name(entry["target"], *entry["target"].split("."), start="_")


def _check_name(whole: str, *parts: str, start: str = "") -> None:
    """Refuses a name with parts that are no identifiers of Python with `start` before them: `0` is a submodule."""
    if not all((start + part).isidentifier() and part and not iskeyword(part) for part in parts):
        raise NetworkError(f"the bundle's graph holds {str(whole)[:60]!r} where a name should be")


def _network_of(content: Mapping[str, Any]) -> QuantizedNetwork:
    _check_names(content)
    modules = modules_of(content["modules"])
    holder = nn.Module()
    graph_module = fx.GraphModule(holder, fx.Graph())
    for target, module in modules.items():
        graph_module.add_submodule(target, module)
    for target, entry in content["floats"].items():
        put(graph_module, target, torch.zeros(entry["shape"], dtype=_DTYPES[entry["dtype"]]), learns=entry["learns"])
    graph, nodes = fx.Graph(owning_module=graph_module), dict[str, fx.Node]()
    for entry in content["nodes"]:
        nodes[entry["name"]] = _made(graph, entry, nodes)
    if content["in_spec"] is not None:
        _nest(graph, content)
    graph_module.graph = graph
    graph_module.meta |= {name: fact for name, fact in content["facts"].items() if fact is not None}
    graph_module.recompile()
    return QuantizedNetwork(graph_module)


def _made(graph: fx.Graph, entry: Mapping[str, Any], nodes: dict[str, fx.Node]) -> fx.Node:
    """The node of an entry."""
    target = target_of(entry["target"]) if entry["op"] == "call_function" else entry["target"]
    arguments = tuple(argument_of(item, nodes) for item in entry["arguments"])
    keywords = {key: argument_of(item, nodes) for key, item in entry.get("keywords", {}).items()}
    node = graph.create_node(entry["op"], target, arguments, keywords, name=entry["name"])
    if "shape" in entry:
        # One example of a batch stands for any number.
        shape = [1 if size < 0 else size for size in entry["shape"]]
        node.meta["val"] = torch.empty(shape, dtype=_DTYPES[entry["dtype"]], device="meta")
    node.meta |= entry.get("facts", {})
    return node


def _nest(graph: fx.Graph, content: Mapping[str, Any]) -> None:
    """Lets a graph take and give nests as the captured one did."""
    if content["out_spec"] is None:
        results = next(entry for entry in content["nodes"] if entry["op"] == "output")["arguments"][0]
        out_spec = pytree.tree_structure([0] * len(results))
    else:
        out_spec = pytree.treespec_loads(content["out_spec"])
    info = fx.graph._PyTreeInfo(content["arguments"], pytree.treespec_loads(content["in_spec"]), out_spec)
    graph.set_codegen(fx.graph._PyTreeCodeGen(info))
