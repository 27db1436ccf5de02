"""What calibration does to biases and steps before activations are quantized."""

import pytest
import torch
from torch import nn

from evo_qnas.networks.quantization.correction import observe
from evo_qnas.networks.quantization.fitting import weight_scales
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize


def weights_only(network: QuantizedNetwork, images: torch.Tensor, bits: int) -> QuantizedNetwork:
    network.set_bits(Bits(weight=bits, activation=8))
    network.calibrate_weights([images])
    return network


@pytest.mark.parametrize("bits", [2, 3])
def test_corrected_layers_keep_the_means_of_the_float_network(
    teacher: nn.Module, images: torch.Tensor, bits: int
) -> None:
    network = quantize(teacher, images[:2], Policy(fixed=Bits(weight=8, activation=8)))
    wanted = observe(network, network.layers, images)
    weights_only(network, images, bits)
    found = observe(network, network.layers, images)
    for one, other, layer in zip(wanted, found, network.layers, strict=True):
        assert layer.bias is not None
        # Biases are not rounded yet: only the order of float32 sums differs.
        assert torch.allclose(one.mean, other.mean, atol=1e-3 * float(one.mean.abs().max()) + 1e-4)
    assert any(float(layer.corrected.abs().max()) > 1e-3 for layer in network.layers)


def test_calibrating_again_starts_from_the_first_biases(teacher: nn.Module, images: torch.Tensor) -> None:
    network = quantize(teacher, images[:2], Policy(fixed=Bits(weight=8, activation=8)))
    first = [layer.bias.detach().clone() for layer in network.layers if layer.bias is not None]
    weights_only(network, images, 2)
    weights_only(network, images, 8)
    direct = weights_only(quantize(teacher, images[:2], Policy(fixed=Bits(weight=8, activation=8))), images, 8)
    for layer, other, bias in zip(network.layers, direct.layers, first, strict=True):
        assert layer.bias is not None
        assert other.bias is not None
        assert torch.allclose(layer.bias, other.bias, atol=1e-5)
        assert torch.allclose(layer.bias - layer.corrected, bias, atol=1e-5)


def test_steps_follow_the_inputs_that_matter() -> None:
    """One large weight behind an input that is always 0 no longer stretches the step of the others."""
    weight = torch.full((1, 4, 1, 1), 0.1)
    weight[0, 1:3, 0, 0] = torch.tensor([0.07, -0.03])
    weight[0, 3] = 0.4
    plain = weight_scales(weight, 4)
    aware = weight_scales(weight, 4, torch.tensor([[1.0, 1.0, 1.0, 0.0]]))
    assert float(aware[0]) < float(plain[0])


def test_statistics_of_a_depthwise_layer_by_hand() -> None:
    network = quantize(
        nn.Sequential(nn.Conv2d(2, 2, 1, groups=2)), torch.zeros(2, 2, 3, 3), Policy(fixed=Bits(weight=8, activation=8))
    )
    x = torch.stack([torch.full((3, 3), 2.0), torch.full((3, 3), -3.0)]).repeat(2, 1, 1, 1)
    (seen,) = observe(network, network.layers, x)
    assert torch.equal(seen.squares, torch.tensor([[4.0], [9.0]]))
    assert torch.allclose(seen.mean, network.graph(x).mean(dim=(0, 2, 3)))
