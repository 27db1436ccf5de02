"""Building an ONNX graph node by node: constants of equal content are stored once, names are short."""

from typing import Any, final

import numpy as np
from jaxtyping import Shaped

# BitwiseAnd needs 18; ONNX Runtime 1.14 and later read both.
OPSET, IR_VERSION = 18, 8
DOMAIN = "evo_qnas"


@final
class GraphBuilder:
    """A graph in the making.

    Attributes:
        nodes: in the order in which they were added.
        constants: by name.
        operations: the operation that gives each tensor.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.operations: dict[str, str] = {}
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._count = 0

    def stored(self, name: str, array: Shaped[np.ndarray, "..."]) -> str:
        """Adds a constant that belongs to the network's stored tensors, under a name of its own; gives the name."""
        from onnx import numpy_helper

        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        return name

    def constant(self, values: Any, dtype: str) -> str:
        """The name of a constant, added where no equal one is there."""
        array = np.asarray(values, dtype=dtype)
        key = (dtype, array.shape, array.tobytes())
        if key not in self._shared:
            self._shared[key] = self.stored(f"c{len(self._shared)}", array)
        return self._shared[key]

    def node(self, operation: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output; gives the output's name."""
        from onnx import helper

        if output is None:
            output, self._count = f"v{self._count}", self._count + 1
        self.operations[output] = operation
        self.nodes.append(helper.make_node(operation, inputs, [output], domain=domain, **attributes))
        return output

    def model(self, *, image: tuple[int, ...], logits: tuple[int, ...], functions: list[Any]) -> Any:
        """The checked model with one input `image` and one output `logits`, each of any batch size `n`.

        Args:
            image: shape of one image.
            logits: shape of one image's output.
            functions: ONNX functions that the nodes use.
        """
        import onnx
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *image])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", *logits])],
            list(self.constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if functions:
            opsets.append(helper.make_opsetid(DOMAIN, 1))
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="evo_qnas", functions=functions
        )
        onnx.checker.check_model(model, full_check=True)
        return model
