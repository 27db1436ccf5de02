"""Codes of every quantizer of a TFLite file, for a comparison with the reference step by step."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Shaped
from torch import fx

from evo_qnas.networks.export.common.walk import output_key
from evo_qnas.networks.export.tflite.builder import packed
from evo_qnas.networks.export.tflite.interpreters import feed, in_torch_order, interpreter_of
from evo_qnas.networks.export.tflite.values import Tensor

Array = Shaped[np.ndarray, "..."]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A tensor of codes.

    Attributes:
        tensor: in the file.
        images: the axis along which there are more of them for more images; None where there are not.
        before: how many positions of that axis lie between two images: 1 where each image has all of its own in a row.
    """

    tensor: Tensor
    images: int | None
    before: int = 1

    def joined(self, parts: Sequence[Array]) -> Array:
        """Codes of several images as torch has them together."""
        axis = self.images
        if axis is None:
            return parts[0]
        shape = parts[0].shape
        split = (*shape[:axis], self.before, shape[axis] // self.before, *shape[axis + 1 :])
        whole = np.stack([part.reshape(split) for part in parts], axis=axis + 1)
        return whole.reshape(*shape[:axis], len(parts) * shape[axis], *shape[axis + 1 :])


def codes_of(
    content: bytes, tensors: Mapping[str, Watched], inputs: Sequence[Array], *, delegate: bool = True
) -> dict[str, Array]:
    """Codes of nodes, as torch counts their axes, of any number of images, and the outputs behind them.

    Args:
        content: of the file.
        tensors: in the file, by the names of nodes.
        inputs: one array for each input, images first.
        delegate: with XNNPACK, which fuses what nobody reads: here every quantizer's tensor is an output.
    """
    order = list(dict.fromkeys(watched.tensor.tensor for watched in tensors.values()))
    interpreter = interpreter_of(with_outputs(content, order), delegate=delegate)
    details = interpreter.get_output_details()
    own = len(details) - len(order)
    places = dict(zip(order, details[own:], strict=True))
    found: dict[str, list[Array]] = {name: [] for name in tensors}
    outputs: dict[str, list[Array]] = {detail["name"]: [] for detail in details[:own]}
    for index in range(len(inputs[0])):
        feed(interpreter, [part[index : index + 1] for part in inputs])
        interpreter.invoke()
        for detail in details[:own]:
            outputs[detail["name"]].append(interpreter.get_tensor(detail["index"]))
        for name, watched in tensors.items():
            tensor = watched.tensor
            stored = interpreter.get_tensor(places[tensor.tensor]["index"]).reshape(tensor.stored)
            axes = [tensor.order.index(axis) for axis in range(len(tensor.order))]
            found[name].append(stored.transpose(axes).astype(np.int16) - np.int16(tensor.offset))
    codes = {name: tensors[name].joined(parts) for name, parts in found.items()}
    return codes | {output_key(name): in_torch_order(parts) for name, parts in outputs.items()}


@torch.no_grad()
def arranged(graph: fx.GraphModule, tensors: Mapping[str, Watched], inputs: Sequence[Array]) -> dict[str, Watched]:
    """Tensors with how their images lie along an axis of their own and other values: as torch puts two of them.

    Args:
        graph: of the network.
        tensors: by the names of nodes.
        inputs: one array for each input, images first.
    """
    mixed = {name for name, one in tensors.items() if one.images is not None and one.tensor.shape[one.images] > 1}
    if not mixed or len(inputs[0]) < 2:
        return dict(tensors)
    given = [torch.from_numpy(np.ascontiguousarray(array[:2])) for array in inputs]
    runs = [_Kept(graph, mixed).values(part) for part in (given, *([one[i : i + 1] for one in given] for i in (0, 1)))]
    made = dict(tensors)
    for name in mixed:
        size = tensors[name].tensor.shape[tensors[name].images or 0]
        both, *each = (run[name] for run in runs)
        ways = [replace(tensors[name], before=before) for before in range(1, size + 1) if size % before == 0]
        made[name] = min(ways, key=lambda way: float(np.abs(way.joined(each) - both).mean()))
    return made


@final
class _Kept(fx.Interpreter):
    """Runs a graph and keeps what some nodes give."""

    def __init__(self, graph: fx.GraphModule, names: Collection[str]) -> None:
        super().__init__(graph)
        self.names, self.found = names, dict[str, Array]()

    def values(self, inputs: Sequence[torch.Tensor]) -> dict[str, Array]:
        """Arrays by the names of nodes."""
        self.run(*inputs, enable_io_processing=False)
        return self.found

    def run_node(self, n: fx.Node) -> Any:
        """What a node gives."""
        result = super().run_node(n)
        if n.name in self.names:
            self.found[n.name] = result.numpy(force=True)
        return result


def with_outputs(content: bytes, tensors: Sequence[int]) -> bytes:
    """The file with more tensors among its outputs."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    graph = model.subgraphs[0]
    graph.outputs = [*graph.outputs, *tensors]
    model.signatureDefs = []
    return packed(model)
