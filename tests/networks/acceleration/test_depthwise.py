"""Gradients of depthwise convolutions against those of torch in float64."""

import pytest
import torch
from torch.nn import functional

from evo_qnas.networks.acceleration.depthwise import Geometry, depthwise, fits


def tensors(kernel: int, height: int = 9, width: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(kernel)
    x = torch.randn(2, 6, height, width, generator=rng).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(6, 1, kernel, kernel, generator=rng), torch.randn(6, generator=rng)
    return x.requires_grad_(), weight.requires_grad_(), bias.requires_grad_()


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (1, 4), (1, 12), (2, 1), (2, 2)])
def test_output_and_gradients_are_those_of_torch(kernel: int, stride: int, dilation: int) -> None:
    x, weight, bias = tensors(kernel)
    geometry = Geometry(stride, dilation * (kernel // 2), dilation, 6)
    wanted = functional.conv2d(x.double(), weight.double(), bias.double(), *geometry)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    given = depthwise(x, weight, bias, geometry)
    assert torch.allclose(given.double(), wanted, atol=1e-5)
    expected = torch.autograd.grad(wanted, (x, weight, bias), upstream.double())
    for one, other in zip(torch.autograd.grad(given, (x, weight, bias), upstream), expected, strict=True):
        assert torch.allclose(one, other.float(), atol=1e-4)


def test_only_wanted_gradients_are_computed() -> None:
    x, weight, _ = tensors(3)
    depthwise(x.detach(), weight, None, Geometry(1, 2, 2, 6)).sum().backward()
    assert weight.grad is not None
    assert x.grad is None


def test_what_is_no_depthwise_convolution_is_left_to_torch() -> None:
    x, weight, _ = tensors(3)
    assert fits(x, weight, Geometry(1, 2, 2, 6))
    assert not fits(x, weight, Geometry(1, 0, 1, 6))
    assert not fits(x, weight.expand(-1, 6, -1, -1), Geometry(1, 1, 1, 1))
    assert not fits(x, torch.cat([weight, weight]), Geometry(1, 1, 1, 6))
    with torch.no_grad():
        assert not fits(x, weight, Geometry(1, 2, 2, 6))


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 2, 1), (5, 1, 1), (5, 2, 1), (7, 1, 2)])
def test_gradients_in_bfloat16_are_near(kernel: int, stride: int, dilation: int) -> None:
    """A bfloat16 has 8 bits, and sums are of up to 126 products: 5 % of the largest value is far from both."""
    x, weight, _ = tensors(kernel)
    geometry = Geometry(stride, dilation * (kernel // 2), dilation, 6)
    wanted = functional.conv2d(x, weight, None, *geometry)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    expected = torch.autograd.grad(wanted, (x, weight), upstream)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        given = depthwise(x, weight, None, geometry)
    assert given.dtype is torch.bfloat16
    for one, other in zip(torch.autograd.grad(given, (x, weight), upstream.bfloat16()), expected, strict=True):
        assert one.dtype is torch.float32
        assert float((one - other).abs().max()) < 0.05 * float(other.abs().max())
