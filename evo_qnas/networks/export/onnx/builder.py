"""Building an ONNX graph node by node: constants of equal content are stored once, names are short."""

from collections.abc import Mapping
from typing import Any, Literal, final

import numpy as np
from jaxtyping import Shaped

# BitwiseAnd needs 18; ONNX Runtime 1.14 and later read both.
OPSET, IR_VERSION = 18, 8
DOMAIN = "evo_qnas"
Side = Literal["input", "output"]


@final
class GraphBuilder:
    """A graph in the making.

    Attributes:
        nodes: in the order in which they were added.
        constants: by name.
        operations: the operation that gives each tensor.
        signature: names, element types and shapes of inputs and outputs, `n` for a batch of any size.
        notes: texts that the model carries.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.operations: dict[str, str] = {}
        self.signature: dict[Side, list[tuple[str, str, tuple[int | str, ...]]]] = {"input": [], "output": []}
        self.notes: dict[str, str] = {}
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

    def several(self, operation: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Adds a node with several outputs; gives their names."""
        from onnx import helper

        names = [f"v{self._count + index}" for index in range(outputs)]
        self._count += outputs
        self.operations |= dict.fromkeys(names, operation)
        self.nodes.append(helper.make_node(operation, inputs, names, **attributes))
        return names

    def copied(self, entry: Any, names: Mapping[str, str]) -> dict[str, str]:
        """Adds a copy of a node of another graph; gives the names of its outputs here by those there.

        Args:
            entry: without sub-graphs.
            names: of its inputs here, by those there.
        """
        from onnx import NodeProto

        copy = NodeProto()
        copy.CopyFrom(entry)
        outputs = {name: f"v{self._count + place}" for place, name in enumerate(entry.output) if name}
        self._count += len(entry.output)
        copy.input[:] = [names[name] for name in entry.input]
        copy.output[:] = [outputs.get(name, "") for name in entry.output]
        copy.name = ""
        self.operations |= dict.fromkeys(outputs.values(), entry.op_type)
        self.nodes.append(copy)
        return outputs

    def expose(self, side: Side, name: str, kind: str, shape: tuple[int, ...], *, batch: int | str | None = "n") -> str:
        """Makes a tensor an input or output, of any batch size where it has the first axis `n`; gives its name.

        Args:
            side: which of the two.
            name: of the tensor.
            kind: `FLOAT` or `UINT8`.
            shape: without the batch.
            batch: size of the first axis, or its name; None where the tensor has no axes.
        """
        if all(known != name for known, _, _ in self.signature[side]):
            first = () if batch is None else (batch,)
            rest = (f"{name}_{axis}" if size < 0 else size for axis, size in enumerate(shape))
            self.signature[side].append((name, kind, (*first, *rest)))
        return name

    def rename(self, old: str, new: str) -> None:
        """Gives a node's output another name, wherever it is read."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    def model(self, *, functions: list[Any]) -> Any:
        """The checked model; inputs and outputs are of any batch size `n`.

        Args:
            functions: ONNX functions that the nodes use.
        """
        import onnx
        from onnx import TensorProto, helper

        signature = {
            side: [
                helper.make_tensor_value_info(name, TensorProto.DataType.Value(kind), list(shape))
                for name, kind, shape in tensors
            ]
            for side, tensors in self.signature.items()
        }
        graph = helper.make_graph(
            self.nodes, "network", signature["input"], signature["output"], list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if functions:
            opsets.append(helper.make_opsetid(DOMAIN, 1))
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="evo_qnas", functions=functions
        )
        helper.set_model_props(model, self.notes)
        onnx.checker.check_model(model, full_check=True)
        return model
