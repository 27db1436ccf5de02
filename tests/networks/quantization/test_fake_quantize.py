"""Rounding and its gradients against a few obvious lines, and the layout of maps."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.quantization import fake_quantize
from evo_qnas.networks.quantization.fake_quantize import CodeRange, RoundActivations, RoundBias, RoundWeights
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slow_round(x: torch.Tensor, step: torch.Tensor, zero: float, top: int) -> torch.Tensor:
    """Straight-through rounding and LSQ's gradient of the step, by autograd."""
    codes = x / step
    limited = torch.clamp(codes, -zero - 0.5, top - zero + 0.5)
    rounded = torch.clamp(torch.round(limited.detach()), -zero, top - zero)
    inside = (codes > -zero - 0.5) & (codes < top - zero + 0.5)
    passing = codes + (rounded - codes).detach()
    return torch.where(inside, passing, rounded) * step


@given(
    bits=st.integers(2, 8),
    seed=st.integers(0, 10_000),
    limits=st.sampled_from([(-math.inf, math.inf), (0.0, math.inf), (0.0, 6.0), (-1.0, 1.0)]),
    share=st.floats(0.2, 1.6),
)
@settings(max_examples=40, deadline=None)
def test_rounding_activations_equals_a_slow_twin(
    bits: int, seed: int, limits: tuple[float, float], share: float
) -> None:
    top = 2**bits - 1
    x = (torch.randn(2, 3, 5, 4, generator=generator(seed)) * 4).requires_grad_()
    base = torch.tensor([8.0 * share / top])
    zero = 0.0 if limits[0] == 0.0 else float(top // 2)
    upstream = torch.randn(x.shape, generator=generator(seed + 1))
    theta = torch.zeros(1, requires_grad=True)
    codes = CodeRange(first=-int(zero), last=top - int(zero), low=limits[0], high=limits[1])
    fast = RoundActivations.apply(x, theta, base, codes)
    grads = torch.autograd.grad(fast, (x, theta), upstream)
    slow = slow_round(torch.clamp(x, *limits), base * torch.exp(theta), zero, top)
    expected = torch.autograd.grad(slow, (x, theta), upstream)
    assert torch.allclose(fast, slow, atol=1e-5)
    assert torch.allclose(grads[0], expected[0])
    assert torch.allclose(grads[1], expected[1], rtol=1e-3, atol=1e-3)


def test_rounding_activations_equals_the_operator_of_aten() -> None:
    x = torch.randn(4, 6, 9, 7, generator=generator(0)) * 3
    step, zero = torch.tensor([0.0371]), torch.tensor([101.0])
    aten = torch._fake_quantize_learnable_per_tensor_affine(x, step, zero, 0, 255, 1.0)
    assert torch.equal(RoundActivations.apply(x, torch.zeros(1), step, CodeRange(first=-101, last=154)), aten)


def test_pieces_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(3, 7, 11, 5, generator=generator(1)).requires_grad_()
    theta = torch.zeros(1, requires_grad=True)

    def run() -> tuple[torch.Tensor, ...]:
        y = RoundActivations.apply(x, theta, torch.tensor([0.1]), CodeRange(first=-9, last=6))
        return y, *torch.autograd.grad(y.square().sum(), (x, theta))

    whole = run()
    monkeypatch.setattr(fake_quantize, "_PIECE", 100)
    parts = run()
    assert torch.equal(whole[0], parts[0])
    assert torch.equal(whole[1], parts[1])
    assert torch.allclose(whole[2], parts[2], rtol=1e-4)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_maps_keep_their_layout_both_ways(layout: torch.memory_format) -> None:
    x = torch.randn(2, 3, 5, 4, generator=generator(2)).contiguous(memory_format=layout).requires_grad_()
    quantizer = ActivationQuantizer(name="x", block="", bits=4)
    quantizer.scale.set(torch.tensor([0.2]))
    quantizer.active = True
    y = quantizer(x)
    # The other layout comes back from above.
    upstream = torch.randn(2, 5, 4, 3, generator=generator(3)).permute(0, 3, 1, 2)
    (given_back,) = torch.autograd.grad(y, x, upstream)
    assert y.is_contiguous(memory_format=layout)
    assert given_back.is_contiguous(memory_format=layout)


def test_values_that_do_not_lie_side_by_side_are_rounded_too() -> None:
    x = torch.randn(6, 6, generator=generator(4))
    part = x[:, ::2].requires_grad_()
    y = RoundActivations.apply(part, torch.zeros(1), torch.tensor([0.5]), CodeRange(first=-4, last=11))
    y.sum().backward()
    assert torch.equal(y, torch.round(part / 0.5).clamp(-4, 11) * 0.5)
    assert part.grad.shape == part.shape


@given(bits=st.integers(2, 8), seed=st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_rounding_weights_equals_a_slow_twin(bits: int, seed: int) -> None:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    weight = torch.randn(3, 4, 2, 2, generator=generator(seed)).requires_grad_()
    base = torch.rand(3, generator=generator(seed)) * 2 / high + 0.01
    theta = torch.zeros(3, requires_grad=True)
    upstream = torch.randn(weight.shape, generator=generator(seed + 1))
    fast = RoundWeights.apply(weight, theta, base, CodeRange(first=low, last=high))
    grads = torch.autograd.grad(fast, (weight, theta), upstream)
    slow = torch.stack(
        [slow_round(w, s, -float(low), high - low) for w, s in zip(weight, base * torch.exp(theta), strict=True)]
    )
    expected = torch.autograd.grad(slow, (weight, theta), upstream)
    assert torch.allclose(fast, slow, atol=1e-6)
    assert torch.allclose(grads[0], expected[0])
    assert torch.allclose(grads[1], expected[1], rtol=1e-3, atol=1e-4)


def test_a_bias_is_rounded_exactly_and_lets_gradients_through() -> None:
    bias, step = torch.tensor([0.26, -1e9]).requires_grad_(), torch.tensor([0.1, 1e-3])
    rounded = RoundBias.apply(bias, step)
    rounded.backward(torch.tensor([2.0, 3.0]))
    assert torch.equal(rounded, torch.tensor([3.0, -float(fake_quantize.INT32)]) * step)
    assert torch.equal(bias.grad, torch.tensor([2.0, 3.0]))


def test_one_scale_for_all_weights_has_one_gradient() -> None:
    """The slope of a scale that all channels share is the sum of the slopes that theirs would have."""
    weight = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    codes, slopes = CodeRange(first=-8, last=7), []
    for shape in ((), (4,)):
        theta = torch.zeros(shape, requires_grad=True)
        rounded = applied(RoundWeights, weight, theta, torch.full(shape, 0.2), codes)
        (rounded * torch.arange(12.0).view(4, 3)).sum().backward()
        assert theta.grad is not None
        assert theta.grad.shape == shape
        slopes.append(theta.grad.sum())
    torch.testing.assert_close(slopes[0], slopes[1])
