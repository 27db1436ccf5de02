import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.fitting import affine_range, weight_range, weight_scales
from evo_qnas.networks.quantization.packing import pack, packed_bytes, unpack
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scales import Scale
from evo_qnas.networks.quantization.scheme import SCHEMES


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("bits", "expected"), [(2, (-2, 1)), (4, (-8, 7)), (8, (-128, 127))])
def test_weight_range(bits: int, expected: tuple[int, int]) -> None:
    assert weight_range(bits) == expected


@given(bits=st.integers(2, 8), seed=st.integers(0, 1000), channels=st.integers(1, 4))
@settings(max_examples=25, deadline=None)
def test_weight_scales_equal_a_slow_search(bits: int, seed: int, channels: int) -> None:
    weight = torch.randn(channels, 3, 2, generator=generator(seed)) * torch.rand(
        channels, 1, 1, generator=generator(seed)
    )
    scales = weight_scales(weight, bits)
    low, high = weight_range(bits)

    def error(row: torch.Tensor, scale: float) -> float:
        return sum((max(low, min(high, round(float(v) / scale))) * scale - float(v)) ** 2 for v in row.flatten())

    for row, scale in zip(weight, scales, strict=True):
        cover = float(row.abs().max()) / high
        slow = min(error(row, cover * float(share)) for share in torch.linspace(0.3, 1.25, 48))
        assert error(row, float(scale)) <= slow * (1 + 1e-4) + 1e-9


def test_more_bits_leave_less_error() -> None:
    layer = make_layer(torch.randn(4, 3, 3, 3, generator=generator(0)))
    errors = []
    for bits in range(2, 9):
        layer.bits = bits
        layer.fit()
        errors.append(float(((layer.quantized_weight() - layer.weight) ** 2).detach().mean()))
    assert errors == sorted(errors, reverse=True)


@given(bits=st.integers(4, 8), seed=st.integers(0, 1000), shift=st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_activation_range_holds_zero_and_leaves_a_small_error(bits: int, seed: int, shift: float) -> None:
    sample = torch.randn(4000, generator=generator(seed)) + shift
    scale, zero = affine_range(sample, bits)
    top = 2**bits - 1
    assert 0 <= zero <= top
    codes = torch.clamp(torch.round(sample / scale) + zero, 0, top)
    error = float((((codes - zero) * scale - sample) ** 2).mean())
    # The plain way covers the whole range: the search may not do worse by more than its histogram's coarseness.
    low, high = min(0.0, float(sample.min())), max(0.0, float(sample.max()))
    step = (high - low) / top
    plain_codes = torch.clamp(torch.round(sample / step) + round(-low / step), 0, top)
    plain = float((((plain_codes - round(-low / step)) * step - sample) ** 2).mean())
    assert error <= plain * 1.1


def test_a_constant_zero_activation_is_quantized_to_itself() -> None:
    assert affine_range(torch.zeros(10), 8) == (1.0, 0)


def make_layer(weight: torch.Tensor, bias: torch.Tensor | None = None, bits: int = 4) -> QuantizedLayer:
    return QuantizedLayer(
        name="conv",
        block="",
        bits=bits,
        operation=torch.nn.functional.conv2d,
        arguments=(),
        weight=weight,
        bias=bias,
        macs=1,
    )


def test_gradients_of_the_step_are_those_of_lsq() -> None:
    """Esser et al. 2020, equation 3, through the logarithm: d/d theta = step * sum(grad * d wq/d step)."""
    weight = torch.randn(2, 3, 1, 1, generator=generator(1))
    layer = make_layer(weight, bits=3)
    layer.scale.set(torch.tensor([0.3, 0.7]))
    upstream = torch.randn(2, 3, 1, 1, generator=generator(2))
    (layer.quantized_weight() * upstream).sum().backward()
    low, high = weight_range(3)
    for channel, step in enumerate([0.3, 0.7]):
        expected, inside = 0.0, []
        for value, grad in zip(weight[channel].flatten(), upstream[channel].flatten(), strict=True):
            ratio = float(value) / step
            if ratio <= low or ratio >= high:
                slope, passes = float(low if ratio <= low else high), 0.0
            else:
                slope, passes = round(ratio) - ratio, 1.0
            expected += slope * float(grad)
            inside.append(passes * float(grad))
        assert float(layer.scale.theta.grad[channel]) == pytest.approx(expected * step, rel=1e-4)
        assert torch.allclose(layer.weight.grad[channel].flatten(), torch.tensor(inside), atol=1e-6)


def test_weight_codes_times_scales_are_the_weights_exactly() -> None:
    layer = make_layer(torch.randn(5, 4, 3, 3, generator=generator(4)), bits=3)
    layer.fit()
    codes = layer.weight_codes()
    low, high = weight_range(3)
    assert codes.min() >= low
    assert codes.max() <= high
    assert torch.equal(codes.float() * layer.scale().view(-1, 1, 1, 1), layer.quantized_weight())


def test_a_layer_rounds_to_the_grid_that_it_is_given() -> None:
    weight = torch.tensor([[[[0.6]], [[-0.9]]]])
    layer = make_layer(weight, bits=4)
    x = torch.ones(1, 2, 1, 1)
    assert float(layer(x).detach()) == pytest.approx(-0.3)
    layer.keep(torch.tensor([0.5]), (torch.zeros(1), torch.ones(1)))
    assert float(layer(x).detach()) == pytest.approx(0.5 - 1.0)


def test_a_channel_of_zeros_keeps_its_bias_in_32_bits() -> None:
    weight = torch.randn(2, 3, 1, 1, generator=generator(5))
    weight[0] = 0.0
    weight[1] *= 1e-3
    layer = make_layer(weight, torch.tensor([5.0, -5.0]), bits=8)
    quantizer = ActivationQuantizer(name="x", block="", bits=8)
    quantizer.scale.set(torch.tensor([1e-2]))
    quantizer.active = True
    layer.source = [quantizer]
    layer.fit()
    layer.fit_bias()
    codes = layer.bias_codes()
    assert codes is not None
    assert codes.abs().max() < 2**31
    assert torch.allclose(layer.quantized_bias(), torch.tensor([5.0, -5.0]), rtol=1e-3)


def test_a_scale_that_is_set_again_forgets_what_it_learned() -> None:
    scale = Scale((3,), SCHEMES.get("per_channel"))
    with torch.no_grad():
        scale.theta.copy_(torch.tensor([0.3, -0.2, 0.0]))
    fresh = torch.tensor([0.5, 0.25, 2.0])
    scale.set(fresh)
    assert torch.equal(scale(), fresh)
    assert not bool(scale.theta.any())
    with torch.no_grad():
        scale.theta.add_(1.0)
    assert torch.allclose(scale(), fresh * math.e)
    assert torch.equal(fresh, torch.tensor([0.5, 0.25, 2.0]))


def watched(*batches: torch.Tensor, bits: int = 4) -> ActivationQuantizer:
    quantizer = ActivationQuantizer(name="x", block="", bits=bits)
    quantizer.watching = True
    for batch in batches:
        quantizer(batch)
    quantizer.watching = False
    quantizer.fit()
    return quantizer


def test_calibration_looks_at_values_all_over_a_tensor() -> None:
    """240,000 values and one outlier: a fit to the ends, to one channel or to a few values would be another."""
    x = torch.randn(3, 8, 100, 100, generator=generator(8))
    x[:, 4:] *= 3.0
    x[0, 0, 0, 0] = 40.0
    scale, zero = affine_range(x.flatten(), 4)
    quantizer = watched(x)
    (sample,) = quantizer.observed
    assert len(sample) >= 65_536
    assert float(sample.std()) == pytest.approx(float(x.std()), rel=0.02)
    assert float(sample.max()) == 40.0
    assert float(quantizer.scale().detach()) == pytest.approx(scale, rel=1e-3)
    assert int(quantizer.zero_point) == zero
    assert scale < 0.5 * 40.0 / 15, "the outlier alone would decide"


def test_calibration_looks_at_every_batch() -> None:
    small = torch.rand(2, 1000, generator=generator(9))
    for batches in ((small, small * 10.0), (small * 10.0, small)):
        assert 9.0 < 15 * float(watched(*batches).scale().detach()) < 10.5


def test_activation_codes_are_unsigned_and_exact() -> None:
    quantizer = ActivationQuantizer(name="x", block="", bits=4)
    x = torch.randn(1000, generator=generator(6))
    quantizer.watching = True
    quantizer(x)
    quantizer.watching = False
    quantizer.fit()
    codes = quantizer.codes(x)
    assert codes.min() >= 0
    assert codes.max() <= 15
    assert torch.equal((codes.float() - quantizer.zero_point) * quantizer.scale(), quantizer(x))


@given(bits=st.integers(2, 8), data=st.data())
@settings(max_examples=50, deadline=None)
def test_packing_gives_back_what_it_took(bits: int, data: st.DataObject) -> None:
    low, high = weight_range(bits)
    values = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=40))
    codes = torch.tensor(values)
    packed = pack(codes, bits)
    assert len(packed) == packed_bytes(len(values), bits)
    assert torch.equal(unpack(packed, bits, (len(values),)), codes)


@pytest.mark.parametrize("bits", [1, 9, 33])
def test_bits_outside_the_range_are_refused(bits: int) -> None:
    with pytest.raises(NetworkError, match=rf"weight bits must be 2\.\.8, got {bits}"):
        Bits(weight=bits, activation=8)
