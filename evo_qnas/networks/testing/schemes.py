"""The contract of quantization schemes, as a test class."""

import copy
import pickle
from abc import ABC, abstractmethod
from functools import cache

import torch
from torch import nn

from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme

_BITS = (2, 3, 5, 8)


def small_module() -> nn.Module:
    """Convolutions (one of them depthwise) and a linear layer, with seeded weights, for images (3, 6, 6)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
            nn.ReLU6(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 4),
        )


@cache
def _uncalibrated(scheme: str) -> QuantizedNetwork:
    module = small_module()
    return quantize(module, torch.zeros(2, 3, 6, 6), Policy(fixed=Bits(weight=8, activation=8), scheme=scheme))


class SchemeContract(ABC):
    """Tests that every scheme must pass; inherit and say how it is registered, pytest finds the rest.

    Example:
        >>> class TestMine(SchemeContract):
        ...     @property
        ...     def name(self):
        ...         return "mine"
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The scheme's name in the registry."""

    @property
    def scheme(self) -> Scheme:
        """The scheme."""
        return SCHEMES.get(self.name)

    def make_network(self, weight: int = 4, activation: int = 6) -> tuple[QuantizedNetwork, torch.Tensor]:
        """A calibrated network of convolutions (one of them depthwise) and a linear layer, and its images."""
        images = torch.randn(32, 3, 6, 6, generator=torch.Generator().manual_seed(0))
        network = _uncalibrated(self.name).clone()
        network.set_bits(Bits(weight=weight, activation=activation))
        network.calibrate([images])
        return network, images

    def test_it_is_described_in_a_line(self) -> None:
        """Listings have one line for it."""
        about = self.scheme.about
        assert about
        assert "\n" not in about

    def test_codes_fit_their_bits(self) -> None:
        """Weight codes are within two's complement, activation codes within as many bits without sign."""
        for bits in _BITS:
            first, last = self.scheme.weight_range(bits)
            assert -(2 ** (bits - 1)) <= first < last <= 2 ** (bits - 1) - 1
            low, high = self.scheme.activation_range(bits)
            assert 0 <= low < high <= 2**bits - 1

    def test_weights_are_codes_times_scales(self) -> None:
        """Rounded weights are whole numbers, within the range of codes, times a positive scale."""
        for bits in _BITS:
            network, _ = self.make_network(weight=bits)
            for layer in network.layers:
                scale = layer.scale().detach()
                assert tuple(scale.shape) == self.scheme.scale_shape(len(layer.weight))
                assert tuple(scale.shape) in {(), (len(layer.weight),)}
                assert bool((scale > 0).all())
                codes, (first, last) = layer.weight_codes(), self.scheme.weight_range(bits)
                assert first <= int(codes.min())
                assert int(codes.max()) <= last
                shape = (-1,) + (1,) * (layer.weight.ndim - 1)
                rounded = layer.quantized_weight().detach()
                assert torch.equal(layer.centred_codes() * scale.view(shape), rounded)
                zero_point = layer.zero_point
                assert self.scheme.has_weight_zero_points or not bool(zero_point.any())
                assert first <= int(zero_point.min()) <= int(zero_point.max()) <= last

    def test_activations_are_codes_times_a_scale(self) -> None:
        """Rounded activations are codes in range minus the zero point, times the scale; 0 stays 0."""
        for bits in _BITS:
            network, images = self.make_network(activation=bits)
            for quantizer in network.quantizers[1:]:
                first, last = self.scheme.activation_range(bits)
                values = images * 3.0
                codes = quantizer.codes(values)
                assert first <= int(codes.min()) <= int(codes.max()) <= last
                assert first <= int(quantizer.zero_point) <= last
                with torch.no_grad():
                    centred = codes - int(quantizer.zero_point)
                    assert torch.allclose(centred * quantizer.scale(), quantizer(values))
                    assert not bool(quantizer(torch.zeros(3)).any())

    def test_more_bits_leave_less_error(self) -> None:
        """Weights of 8 bits are nearer to the float weights than those of 2."""
        errors = []
        for bits in (2, 8):
            network, _ = self.make_network(weight=bits)
            errors.append(sum(float((m.quantized_weight() - m.weight).detach().square().sum()) for m in network.layers))
        assert errors[1] < errors[0]

    def test_bytes_are_those_that_are_stored(self) -> None:
        """Costs count the bytes of the stored tensors, to the byte."""
        for bits in _BITS:
            network, _ = self.make_network(weight=bits)
            stored = sum(tensor.numel() * tensor.element_size() for tensor in network.stored().values())
            assert costs_of(network, 8).size_bytes == stored

    def test_stored_tensors_restore_the_network(self) -> None:
        """A network restored from what was stored, after learning, gives the same values."""
        network, images = self.make_network()
        with torch.no_grad():
            for layer in network.layers:
                layer.scale.theta.add_(0.05)
        other, _ = self.make_network()
        other.restore(network.stored())
        with torch.no_grad():
            assert torch.allclose(other(images), network(images), rtol=1e-5, atol=1e-6)
            assert torch.equal(run_in_integers(other, images), run_in_integers(network, images))

    def test_integers_are_what_training_sees(self) -> None:
        """The integer reference stays within one code of the network in floats, and mostly equals it."""
        network, images = self.make_network()
        with torch.no_grad():
            apart = (run_in_integers(network, images) - network(images)).abs()
            assert float(apart.max()) <= 1.001 * float(network.quantizers[-1].scale())
        assert float((apart > 1e-6).float().mean()) < 0.1

    def test_scales_start_where_they_were_set_and_learn(self) -> None:
        """`base` is the scale before it learns, scales grow with `theta`, and gradients reach weights and scales."""
        network, images = self.make_network()
        network(images).square().mean().backward()
        for layer in network.layers:
            base = layer.scale.base
            assert torch.equal(self.scheme.learned_scale(base, torch.zeros_like(base)), base)
            assert bool((self.scheme.learned_scale(base, torch.ones_like(base)) > base).all())
            assert float(layer.weight.grad.abs().sum()) > 0  # type: ignore[union-attr]  # just computed
            assert float(layer.scale.theta.grad.abs().sum()) > 0  # type: ignore[union-attr]  # just computed

    def test_widened_scales_reach_the_least(self) -> None:
        """A widened scale is at least the least of its channels, and one that is large enough stays."""
        for layer in self.make_network()[0].layers:
            scale = layer.scale().detach()
            least = torch.full((len(layer.weight),), float(scale.max()) * 3.0)
            assert bool((self.scheme.widened_scale(scale, least) >= least.max()).all())
            assert torch.equal(self.scheme.widened_scale(scale, least * 0.0), scale)

    def test_copies_compute_the_same(self) -> None:
        """Networks are cloned, and their parts copied and pickled, with their scheme."""
        network, images = self.make_network()
        quantizer = network.quantizers[0]
        with torch.no_grad():
            assert torch.equal(network.clone()(images), network(images))
            for other in (copy.deepcopy(quantizer), pickle.loads(pickle.dumps(quantizer))):
                assert type(other.scheme) is type(self.scheme)
                assert torch.equal(other(images), quantizer(images))
