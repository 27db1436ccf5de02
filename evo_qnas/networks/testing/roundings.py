"""The contract of ways to round weights, as a test class."""

from abc import ABC, abstractmethod

import torch

from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.recipe import ROUNDINGS, Recipe, Rounding
from evo_qnas.networks.testing.schemes import small_module


class RoundingContract(ABC):
    """Tests that every rounding must pass; inherit and say how it is registered, pytest finds the rest.

    Example:
        >>> class TestMine(RoundingContract):
        ...     @property
        ...     def name(self):
        ...         return "mine"
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The rounding's name in the registry."""

    @property
    def rounding(self) -> Rounding:
        """The rounding."""
        return ROUNDINGS.get(self.name)

    def make_network(self) -> tuple[QuantizedNetwork, torch.Tensor]:
        """A network of convolutions (one of them depthwise) and a linear layer, not calibrated, and its images."""
        images = torch.randn(32, 3, 6, 6, generator=torch.Generator().manual_seed(0))
        policy = Policy(fixed=Bits(weight=4, activation=8), recipe=Recipe(rounding=self.name))
        return quantize(small_module(), images[:2], policy), images

    def test_it_is_described_in_a_line(self) -> None:
        """Listings have one line for it."""
        about = self.rounding.about
        assert about
        assert "\n" not in about

    def test_codes_fit_their_bits(self) -> None:
        """All layers are active, their codes within the scheme's range."""
        network, images = self.make_network()
        network.calibrate(images.split(16))
        for layer in network.layers:
            codes, (first, last) = layer.weight_codes(), layer.scheme.weight_range(layer.bits)
            assert layer.active
            assert first <= int(codes.min()) < int(codes.max()) <= last

    def test_codes_follow_from_layers_and_batches(self) -> None:
        """Calibrating again, at other bits in between, gives the same codes: nothing is drawn, floats are not lost."""
        network, images = self.make_network()
        network.calibrate(images.split(16))
        first = network.stored()
        for bits in (2, 4):
            network.set_bits(Bits(weight=bits, activation=8))
            network.calibrate(images.split(16))
        # A bias that a correction is taken back from may differ in its last bit, and so by a code.
        for name, tensor in network.stored().items():
            assert torch.allclose(first[name].double(), tensor.double(), atol=1.0, rtol=1e-5)
            assert torch.equal(first[name], tensor) or not name.endswith(".codes")

    def test_codes_of_refined_layers_stay(self) -> None:
        """Layers with kept moments are left as they are but for factors and shifts."""
        network, images = self.make_network()
        network.calibrate(images.split(16))
        layer = network.layers[0]
        before = layer.weight_codes()
        layer.keep(layer.scale().detach(), (torch.zeros(layer.channels), torch.ones(layer.channels)))
        network.calibrate(images.flip(0).split(16))
        assert torch.equal(layer.weight_codes(), before)
