"""A quantized graph with the shapes that it has for one image: TFLite's files have fixed shapes."""

from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.tflite.values import IMAGES, one_image
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer


def for_one_image(graph: fx.GraphModule) -> fx.GraphModule:
    """A copy of a graph, with the same modules, whose `meta["val"]` are those of one image.

    What they were for any number of images is in `meta[IMAGES]`.

    Raises:
        NetworkError: the graph was made for another number of images.
    """
    copied = fx.Graph()
    nodes: dict[fx.Node, fx.Node] = {}
    result: Any = copied.graph_copy(graph.graph, nodes)
    made = fx.GraphModule(graph, copied)
    copied.output(result)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        inputs = [_example(node, copied, mode) for node in copied.nodes if node.op == "placeholder"]
        try:
            _Shapes(made, mode).run(*inputs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            first = str(error).strip().splitlines()[0]
            raise NetworkError(
                f"the network does not take one image alone, which a TFLite file is made for: {first}"
            ) from error
    return made


def _example(node: fx.Node, graph: fx.Graph, mode: FakeTensorMode) -> torch.Tensor:
    """A tensor of the shape of an input for one image: the first size of all inputs that have that of the first."""
    values = [other.meta["val"] for other in graph.nodes if other.op == "placeholder"]
    images = values[0].shape[0] if values[0].ndim else 1
    value = node.meta["val"]
    sizes = list(value.shape)
    if sizes and (not isinstance(sizes[0], int) or sizes[0] == images):
        sizes[0] = 1
    return torch.empty([int(size) for size in sizes], dtype=value.dtype)


class _Shapes(fx.Interpreter):
    """Runs a graph on tensors without numbers and keeps what each node gives."""

    def __init__(self, module: fx.GraphModule, mode: FakeTensorMode) -> None:
        super().__init__(module, garbage_collect_values=False)
        self.mode = mode

    def run_node(self, n: fx.Node) -> Any:
        """What a node gives."""
        try:
            result = super().run_node(n)
        except (RuntimeError, TypeError) as error:
            result = self._as_traced(n, error)
        n.meta[IMAGES] = n.meta.get("val")
        n.meta["val"] = result
        return result

    def _as_traced(self, n: fx.Node, error: Exception) -> Any:
        """What tracing found, for one image: some operations want numbers, which tensors here have not."""
        traced = n.meta.get("val")
        if isinstance(traced, torch.Tensor):
            return torch.empty([int(one_image(size)) for size in traced.shape], dtype=traced.dtype)
        if isinstance(traced, (int, float, bool)):
            return traced
        raise error

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A quantizer keeps the shape, a layer is its operation."""
        module = self.module.get_submodule(str(target))
        if isinstance(module, ActivationQuantizer):
            return args[0]
        if not isinstance(module, QuantizedLayer):
            return super().call_module(target, args, kwargs)
        bias = None if module.bias is None else self.mode.from_tensor(module.bias)
        return module.computed(args[0], self.mode.from_tensor(module.weight), bias)

    def get_attr(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A constant without its numbers."""
        found = self.fetch_attr(str(target))
        return self.mode.from_tensor(found) if isinstance(found, torch.Tensor) else found
