"""A runtime in one file, as another package brings it: safetensors with the graph as JSON, run by the reference."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import CONVOLUTIONS, LINEAR
from evo_qnas.networks.export import CheckSettings, Kernels, Latency, Runtime, Timing, Tolerance, check_file, failures
from evo_qnas.networks.export.common.arguments import require_calibrated
from evo_qnas.networks.export.common.latency import measure_latency
from evo_qnas.networks.integer.reference import InIntegers
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme


class PlainRuntime(Runtime):
    name = "plain"
    title = "the integer reference"
    about = "stored tensors and the graph as JSON"
    suffix = ".xyz"
    packages = ("safetensors",)
    install = "plain-runtime"
    tolerance = Tolerance(agreement=1.0, agreement_few_bits=1.0, metric=0.0, steps=0)

    def write(self, network: QuantizedNetwork, path: Path, *, upsample: bool = False) -> None:
        require_calibrated(network)
        tensors = {name: tensor.contiguous() for name, tensor in network.stored().items()}
        nodes = [described(network.graph, node) for node in network.graph.graph.nodes if node.op != "get_attr"]
        save_file(tensors, path, {"nodes": json.dumps(nodes)})

    def open(self, path: Path, *, threads: int = 1) -> InIntegers:
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                nodes = json.loads(file.metadata()["nodes"])
        except (OSError, SafetensorError) as error:
            raise NetworkError(f"{path} cannot be read: {error}") from error
        network = QuantizedNetwork(rebuilt(nodes))
        network.restore(tensors)
        return InIntegers(network)

    def run(self, session: InIntegers, images: np.ndarray) -> np.ndarray:
        logits: np.ndarray = session(torch.from_numpy(images)).numpy()
        return logits

    def kernels(self, path: Path) -> Kernels:
        layers = self.open(path).network.layers
        convolutions = sum(layer.operation in CONVOLUTIONS for layer in layers)
        linear = len(layers) - convolutions
        return Kernels(
            convolutions=convolutions, integer_convolutions=convolutions, linear=linear, integer_linear=linear
        )

    def measure(self, files: Mapping[str, Path], timing: Timing) -> dict[str, Latency]:
        return measure_latency(files, timing, self.prepare)

    def prepare(self, path: Path, threads: int, rng: np.random.Generator) -> Callable[[], object]:
        session = self.open(path)
        shape = next(node.meta["val"].shape for node in session.network.graph.graph.nodes)
        image = rng.standard_normal((1, *shape[1:]), dtype=np.float32)
        return lambda: self.run(session, image)

    def check(self, network: QuantizedNetwork, path: Path, settings: CheckSettings) -> dict[str, Any]:
        entry = check_file(self, network, path, settings)
        return {**entry, "failures": failures(network, entry, self.tolerance, task=settings.task)}


def described(graph: fx.GraphModule, node: fx.Node) -> dict[str, Any]:
    """A node as JSON: arguments that are nodes by their names."""

    def plain(argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return {"node": argument.name}
        return [plain(item) for item in argument] if isinstance(argument, (list, tuple)) else argument

    row: dict[str, Any] = {"op": node.op, "name": node.name, "target": str(node.target), "args": plain(node.args)}
    if isinstance(node.meta.get("val"), torch.Tensor):
        row["shape"] = [size if isinstance(size, int) else 2 for size in node.meta["val"].shape]
    module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(module, ActivationQuantizer):
        row["quantizer"] = {"name": module.name, "bits": module.bits, "limits": list(module.limits)}
        row["scheme"] = scheme_name(module.scheme)
    if isinstance(module, QuantizedLayer):
        row["scheme"] = scheme_name(module.scheme)
        row["layer"] = {
            "name": module.name,
            "bits": module.bits,
            "operation": str(module.operation),
            "arguments": list(module.arguments),
            "weight": list(module.weight.shape),
            "bias": module.bias is not None,
            "source": module.source[0].name,
        }
    return row


def rebuilt(nodes: list[dict[str, Any]]) -> fx.GraphModule:
    """The graph of a file, with quantizers and layers that wait for their tensors."""
    root, graph = nn.Module(), fx.Graph()
    made: dict[str, fx.Node] = {}
    quantizers: dict[str, ActivationQuantizer] = {}

    def argument(value: Any) -> Any:
        if isinstance(value, dict):
            return made[value["node"]]
        return [argument(item) for item in value] if isinstance(value, list) else value

    for row in nodes:
        if "quantizer" in row:
            facts, scheme = row["quantizer"], SCHEMES.get(row["scheme"])
            quantizer = ActivationQuantizer(name=facts["name"], block="", bits=facts["bits"], scheme=scheme)
            quantizer.limits = tuple(facts["limits"])
            quantizers[quantizer.name] = quantizer
            root.add_module(row["target"], quantizer)
        if "layer" in row:
            root.add_module(row["target"], layer_of(row["layer"], quantizers, SCHEMES.get(row["scheme"])))
        target = operation(row["target"]) if row["op"] == "call_function" else row["target"]
        node = graph.create_node(row["op"], target, tuple(argument(row["args"])), name=row["name"])
        if "shape" in row:
            node.meta["val"] = torch.empty(row["shape"], device="meta")
        made[row["name"]] = node
    return fx.GraphModule(root, graph)


def scheme_name(scheme: Scheme) -> str:
    """The name under which a scheme is registered."""
    return next(name for name, known in SCHEMES.items() if type(known) is type(scheme))


def operation(name: str) -> Any:
    """An operation of torch by its name, such as aten.relu.default."""
    _, packet, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), overload)


def layer_of(row: dict[str, Any], quantizers: Mapping[str, ActivationQuantizer], scheme: Scheme) -> QuantizedLayer:
    assert operation(row["operation"]) in (*CONVOLUTIONS, *LINEAR)
    layer = QuantizedLayer(
        name=row["name"],
        block="",
        bits=row["bits"],
        operation=operation(row["operation"]),
        arguments=tuple(row["arguments"]),
        weight=torch.zeros(row["weight"]),
        bias=torch.zeros(row["weight"][0]) if row["bias"] else None,
        macs=0,
        scheme=scheme,
    )
    layer.source = [quantizers[row["source"]]]
    return layer
