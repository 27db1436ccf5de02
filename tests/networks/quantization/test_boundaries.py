"""Calibration where mutants lived: values that are left out, and step sizes that were learned before."""

import torch

from evo_qnas.networks.quantization.fitting import affine_range
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


def watched(x: torch.Tensor, bits: int) -> ActivationQuantizer:
    quantizer = ActivationQuantizer(name="x", block="", bits=bits)
    quantizer.watching = True
    quantizer(x)
    quantizer.watching = False
    quantizer.fit()
    return quantizer


def squared_error(x: torch.Tensor, scale: float, zero: int, bits: int) -> float:
    codes = torch.clamp(torch.round(x / scale) + zero, 0, 2**bits - 1)
    return float((((codes - zero) * scale - x) ** 2).mean())


def test_calibration_uses_the_mass_of_the_values_and_not_their_ends_alone() -> None:
    """Of 200,000 normal values every third is kept: at 4 bits the range that suits them cuts the tails off."""
    x = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    found = float(((watched(x, 4)(x).detach() - x) ** 2).mean())
    assert found < 1.02 * squared_error(x, *affine_range(x, 4), 4)
    ends = torch.stack([x.min(), x.max()])
    assert found < 0.8 * squared_error(x, *affine_range(ends, 4), 4)


def test_a_second_calibration_forgets_what_the_step_has_learned() -> None:
    x = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    quantizer = watched(x, 4)
    before = quantizer(x).detach()
    (theta,) = quantizer.parameters()
    theta.data += 0.3
    assert not torch.equal(quantizer(x).detach(), before)
    quantizer.fit()
    assert torch.equal(quantizer(x).detach(), before)


def test_the_sample_holds_the_smallest_and_the_largest_value_wherever_they_stand() -> None:
    x = torch.zeros(300_000)
    x[1], x[7] = -3.0, 5.0
    quantizer = ActivationQuantizer(name="x", block="", bits=8)
    quantizer.watching = True
    quantizer(x)
    (sample,) = quantizer.observed
    assert (float(sample.min()), float(sample.max())) == (-3.0, 5.0)
    assert len(sample) < 80_000
