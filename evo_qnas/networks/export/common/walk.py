"""A file's codes beside the integer reference, quantizer by quantizer, and its outputs behind them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Shaped
from torch import fx

from evo_qnas.data.nests import length, rows
from evo_qnas.networks.capture.graph import last_upsampling, static_batch
from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals, pending
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.signature import input_leaves, output_names, results_of
from evo_qnas.networks.integer.reference import upsampled
from evo_qnas.networks.integer.steps import compute, is_island
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

# Names of quantizers that differ, in a sentence.
_NAMED = 5
# Outputs stand among codes under their names behind this; no quantizer's name has a space.
_OUTPUT = "output "


def output_key(name: str) -> str:
    """The key of an output among the codes of a file."""
    return f"{_OUTPUT}{name}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Codes of a file against those that the reference computes from the file's own codes before them.

    Attributes:
        compared: codes.
        one_off: share of the codes behind operations in floats that are one step off.
        float_operations: share of the operations that are computed in floats.
        float_macs: their share of the multiplications.
        differing: quantizers and outputs that differ by more than is allowed, and by how many steps at most.
    """

    compared: int
    one_off: float
    float_operations: float
    float_macs: float
    differing: Mapping[str, int]

    def as_entry(self) -> dict[str, Any]:
        """The findings by name, for an entry of `summary.json`."""
        return {
            "compared": self.compared,
            "one_off": self.one_off,
            "float_operations": self.float_operations,
            "float_macs": self.float_macs,
            "differing": dict(list(self.differing.items())[:_NAMED]),
        }


def has_islands(network: QuantizedNetwork, inputs: Any) -> bool:
    """True where an operation of the network is computed in floats."""
    return walk(network, {}, of_batch(network, inputs)).float_operations > 0.0


def of_batch(network: QuantizedNetwork, inputs: Any) -> Any:
    """As many of the inputs as a network takes at once that was made for one number of examples; else all."""
    batch = static_batch(network.graph)
    return inputs if batch is None else rows(inputs, torch.arange(batch) % length(inputs))


@torch.no_grad()
def walk(
    network: QuantizedNetwork, codes: Mapping[str, Shaped[np.ndarray, "..."]], inputs: Any, *, steps: int = 0
) -> Walk:
    """Compares each quantizer's codes with the reference, which goes on from the file's own codes behind it.

    Args:
        network: that the file holds.
        codes: of the file by the names of quantizers, or of the nodes that call them where several do, and its outputs
            by `output_key`; what is not there is not compared.
        inputs: as the network takes them, or a list with one for each placeholder.
        steps: largest allowed difference where no operation in floats comes before; behind one it is a step more.
    """
    graph, last = network.graph, last_upsampling(network.graph)
    values: dict[fx.Node, Any] = {}
    waiting = list(inputs) if isinstance(inputs, list) else input_leaves(graph, inputs)
    counts = _Counts()
    calls = Counter(node.target for node in graph.graph.nodes if node.op == "call_module")
    for node in graph.graph.nodes:
        if node.op == "output" or node is last:
            break
        if node.op == "placeholder":
            values[node] = _input(waiting.pop(0))
            continue
        values[node] = compute(graph, node, values)
        module = graph.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, QuantizedLayer) or _computes(node):
            counts.add_operation(node, in_floats=is_island(values[node]))
        if not isinstance(module, ActivationQuantizer):
            continue
        # Steps of a recurrent module share a quantizer: its codes are known by the call.
        given = codes.get(node.name, codes.get(module.name) if calls[node.target] == 1 else None)
        if given is not None:
            allowed = steps if (exact := pending(values[node.args[0]]).exact) else steps + 1
            values[node] = counts.compare(module.name, values[node], given, allowed=allowed, exact=exact)
    results = [last.args[0]] if last is not None else results_of(graph)
    for result, name in zip(results, output_names(graph), strict=True):
        own, given = values.get(result), codes.get(output_key(name))
        if isinstance(own, Centred) and given is not None:
            counts.compare_output(name, own, given, last=last, steps=steps)
    return counts.walk()


@final
@dataclass(slots=True)
class _Counts:
    """What a walk has found so far."""

    compared: int = 0
    behind: int = 0
    off: int = 0
    operations: list[int] = field(default_factory=lambda: [0, 0])
    macs: list[int] = field(default_factory=lambda: [0, 0])
    differing: dict[str, int] = field(default_factory=dict)

    def add_operation(self, node: fx.Node, *, in_floats: bool) -> None:
        """Counts an operation, of all and of those in floats."""
        for place in range(1 + in_floats):
            self.operations[place] += 1
            self.macs[place] += int(node.meta.get("macs", 0))

    def compare(
        self, name: str, own: Centred, given: Shaped[np.ndarray, "..."], *, allowed: int, exact: bool
    ) -> Centred:
        """The file's codes, after they were compared with the reference's own."""
        file = torch.from_numpy(np.ascontiguousarray(given)).float().reshape(own.integers.shape) - own.zero
        apart = (file - own.integers).abs()
        # No number is as far as any code.
        most = int(apart.nan_to_num(255.0).max()) if apart.numel() else 0
        self.compared += apart.numel()
        if not exact:
            self.behind, self.off = self.behind + apart.numel(), self.off + int((apart > 0).sum())
        if most > allowed:
            self.differing[name] = most
        return replace(own, integers=file)

    def compare_output(
        self, name: str, own: Centred, given: Shaped[np.ndarray, "..."], *, last: fx.Node | None, steps: int
    ) -> None:
        """An output beside the floats of the codes behind it; up-sampled ones may be a step further."""
        floats, allowed = own.floats, 0
        if floats.shape != given.shape and last is not None:
            floats, allowed = upsampled(last, torch.from_numpy(floats)).numpy(), steps + 1
        apart = np.abs(np.asarray(given, np.float64) - floats) / float(own.scale)
        most = int(np.rint(np.nan_to_num(apart, nan=255.0, posinf=255.0).max())) if apart.size else 0
        if most > allowed:
            self.differing[output_key(name)] = most

    def walk(self) -> Walk:
        """The findings."""
        return Walk(
            compared=self.compared,
            one_off=self.off / max(1, self.behind),
            float_operations=self.operations[1] / max(1, self.operations[0]),
            float_macs=self.macs[1] / max(1, self.macs[0]),
            differing=self.differing,
        )


def _input(value: torch.Tensor) -> Any:
    """An input as the walk takes it: floats wait for their quantizer, whole numbers are as they are."""
    return Pending(Reals(value.numpy(force=True))) if value.is_floating_point() else value


def _computes(node: fx.Node) -> bool:
    """True for operations that compute, not for those that move values or cut them to limits."""
    operation = operation_of(node.target)
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return False
    return operation is None or operation.role not in {Role.LAYOUT, Role.ACTIVATION, Role.SHAPE}
