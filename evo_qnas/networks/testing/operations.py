"""The contract of operations, as a test class."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import fx, nn

from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.networks.capture.operations.registry import OPERATIONS, operation_of
from evo_qnas.networks.integer.memory import tensors_of
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


class OperationContract(ABC):
    """Tests that every operation must pass; inherit, say how it is registered and used, pytest finds the rest.

    Example:
        >>> class TestMine(OperationContract):
        ...     name = "flip"
        ...
        ...     def make_module(self):
        ...         return ...
    """

    name: str

    @abstractmethod
    def make_module(self) -> nn.Module:
        """A module that does the operation to maps (n, 4, 6, 6), once."""

    @property
    def operation(self) -> Operation:
        """The operation."""
        return OPERATIONS.get(self.name)

    def make_network(self) -> tuple[QuantizedNetwork, torch.Tensor]:
        """A calibrated network of a convolution and the operation, and its images."""
        images = torch.randn(16, 2, 6, 6, generator=torch.Generator().manual_seed(0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            module = nn.Sequential(nn.Conv2d(2, 4, 1), self.make_module())
        network = quantize(module.eval(), images[:2], Policy(fixed=Bits(weight=8, activation=8)))
        network.calibrate([images])
        return network, images

    def _node(self, network: QuantizedNetwork) -> fx.Node:
        nodes: list[fx.Node] = [
            node for node in network.graph.graph.nodes if operation_of(node.target) is self.operation
        ]
        assert nodes, f"the module does not use the operation {self.name!r}"
        return nodes[0]

    def test_the_registry_knows_its_overloads(self) -> None:
        """Its name is that of the registry, every overload leads to it, and plain ones write nothing in place."""
        operation = self.operation
        assert operation.name == self.name
        assert all(operation_of(overload) is operation for overload in operation.overloads)
        for overload, plain in operation.plain.items():
            assert {overload, plain} <= set(operation.overloads)
            assert not any(argument.alias_info and argument.alias_info.is_write for argument in plain._schema.arguments)

    def test_its_output_is_quantized_as_its_role_says(self) -> None:
        """A layout operation has the codes of its input, any other a quantizer behind it."""
        network, _ = self.make_network()
        readers = [str(user.target) for user in self._node(network).users if user.op == "call_module"]
        quantized = any(isinstance(network.graph.get_submodule(name), ActivationQuantizer) for name in readers)
        assert quantized == (self.operation.role is not Role.LAYOUT)
        assert len(tensors_of(network)) == len(network.quantizers) + (
            self.operation.role is Role.LAYOUT and self.operation.copies
        )

    def test_integers_are_what_training_sees(self) -> None:
        """In integers it stays within one code of the floats; a layout operation and an activation equal them."""
        network, images = self.make_network()
        integers = run_in_integers(network, images)
        with torch.no_grad():
            apart = (integers - network(images)).abs()
            scale = float(network.quantizers[-1].scale())
        assert float(apart.max()) <= 1.001 * scale

    def test_onnx_runtime_equals_the_integers(self) -> None:
        """ONNX Runtime gives the integers of the reference bit for bit, where the operation has a translation.

        What is computed in floats may fall to the code beside it.
        """
        if "onnx" not in self.operation.translations:
            return
        import onnxruntime

        from evo_qnas.networks.export.onnx.translate import to_onnx

        network, images = self.make_network()
        session = onnxruntime.InferenceSession(to_onnx(network).SerializeToString(), providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {"image": images.numpy()})
        apart = np.abs(logits - run_in_integers(network, images).numpy())
        exact = self.operation.integer is not None or self.operation.role in {Role.LAYOUT, Role.ACTIVATION}
        assert apart.max() <= (0.0 if exact else 1.001 * float(network.quantizers[-1].scale()))
