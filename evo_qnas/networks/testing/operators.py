"""The contract of candidate operators, as a test class."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape
from evo_qnas.networks.candidates.operators import Operator, build_candidate, candidate_labels
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize


class OperatorContract(ABC):
    """Tests that the operators of every card must pass; inherit and say what they are, pytest finds the rest.

    Example:
        >>> class TestMine(OperatorContract):
        ...     def make_operators(self):
        ...         return load_operators("cards/mine.py", {})
        ...
        ...     def make_blocks(self):
        ...         return [(BlockShape(name="b", inputs=(8, 6, 6), outputs=(8, 6, 6)), teacher_block)]
    """

    @abstractmethod
    def make_operators(self) -> Sequence[Operator]:
        """The operators of the card."""

    @abstractmethod
    def make_blocks(self) -> Sequence[tuple[BlockShape, nn.Module]]:
        """Blocks of a teacher with their shapes; each operator fits at least one of them."""

    def built(self, seed: int = 0) -> list[tuple[Operator, BlockShape, nn.Module]]:
        """Every operator for every block that it fits."""
        made = []
        for shape, block in self.make_blocks():
            for operator in self.make_operators():
                module = build_candidate(operator, shape, seed=seed, block=block)
                if module is not None:
                    made.append((operator, shape, module))
        return made

    def test_each_operator_fits_a_block(self) -> None:
        """Labels differ, and none is of no use."""
        labels = [operator.label for operator in self.make_operators()]
        assert labels
        assert len(set(labels)) == len(labels)
        assert {operator.label for operator, _, _ in self.built()} == set(labels)

    def test_labels_are_known_without_building(self) -> None:
        """`candidate_labels` names exactly the operators that can be built, and draws no random number."""
        operators = self.make_operators()
        for shape, block in self.make_blocks():
            state = torch.get_rng_state()
            labels = candidate_labels(operators, shape, block=block)
            assert torch.equal(torch.get_rng_state(), state)
            built = [build_candidate(operator, shape, seed=0, block=block) for operator in operators]
            fitting = [operator.label for operator, module in zip(operators, built, strict=True) if module is not None]
            assert labels == tuple(fitting)

    def test_weights_depend_on_the_seed_alone(self) -> None:
        """The same seed gives the same weights, whatever was drawn before."""
        first = self.built(5)
        torch.rand(3)
        for (_, _, one), (_, _, other) in zip(first, self.built(5), strict=True):
            same = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
            assert all(torch.equal(a, b) for a, b in same)

    def test_the_teachers_block_stays_as_it_is(self) -> None:
        """Building and learning change no weight of the block."""
        for shape, block in self.make_blocks():
            before = copy.deepcopy(block.state_dict())
            for operator in self.make_operators():
                module = build_candidate(operator, shape, seed=0, block=block)
                if module is not None:
                    with torch.no_grad():
                        for parameter in module.parameters():
                            parameter.add_(1.0)
            assert all(torch.equal(value, before[name]) for name, value in block.state_dict().items())

    def test_outputs_are_finite_and_independent_of_the_batch(self) -> None:
        """In evaluation mode an image's output does not depend on the others; the shape is the block's."""
        for _, shape, module in self.built():
            inputs = torch.randn(3, *shape.inputs, generator=torch.Generator().manual_seed(0))
            with torch.no_grad():
                outputs, single = module(inputs), module(inputs[:1])
            assert tuple(outputs.shape) == (3, *shape.outputs)
            assert bool(torch.isfinite(outputs).all())
            assert torch.allclose(outputs[:1], single, atol=1e-4)

    def test_every_weight_learns(self) -> None:
        """All parameters get a gradient."""
        for _, shape, module in self.built():
            inputs = torch.randn(4, *shape.inputs, generator=torch.Generator().manual_seed(0), requires_grad=True)
            module.train()(inputs).square().sum().backward()
            assert all(parameter.grad is not None for parameter in module.parameters())

    def test_it_can_be_quantized(self) -> None:
        """A candidate is captured, calibrated and run in 8 bits."""
        for _, shape, module in self.built():
            inputs = torch.randn(4, *shape.inputs, generator=torch.Generator().manual_seed(0))
            network = quantize(module.eval(), inputs[:2], Policy(fixed=Bits(weight=8, activation=8)))
            network.calibrate([inputs])
            with torch.no_grad():
                assert tuple(network(inputs).shape) == (4, *shape.outputs)
