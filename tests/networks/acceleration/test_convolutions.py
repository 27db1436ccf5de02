"""Convolutions by other ways against those of torch."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from evo_qnas.networks.acceleration.convolutions import convolve, fast_convolutions
from evo_qnas.networks.acceleration.depthwise import Geometry
from evo_qnas.networks.acceleration.devices import keep_memory, to_training
from evo_qnas.networks.candidates.low_rank import low_rank
from evo_qnas.networks.candidates.pruning import pruned
from evo_qnas.networks.models.deeplab import AtrousPyramid

LAST = torch.channels_last


def tensors(kernel: int = 1, groups: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(kernel)
    x = torch.randn(3, 6, 5, 4, generator=rng).contiguous(memory_format=LAST)
    weight = torch.randn(12, 6 // groups, kernel, kernel, generator=rng)
    return x.requires_grad_(), weight.requires_grad_(), torch.randn(12, generator=rng).requires_grad_()


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (1, 2, 1), (1, 1, 3), (3, 1, 1), (3, 2, 2)])
def test_output_and_gradients_are_those_of_torch(kernel: int, stride: int, groups: int) -> None:
    x, weight, bias = tensors(kernel, groups)
    geometry = Geometry(stride, kernel // 2, 1, groups)
    wanted = functional.conv2d(x.double(), weight.double(), bias.double(), *geometry)
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(0))
    given = convolve(x, weight, bias, geometry)
    assert torch.allclose(given.double(), wanted, atol=1e-5)
    expected = torch.autograd.grad(wanted, (x, weight, bias), upstream.double())
    for one, other in zip(torch.autograd.grad(given, (x, weight, bias), upstream), expected, strict=True):
        assert torch.allclose(one, other.float(), atol=1e-4)


def way(x: torch.Tensor, weight: torch.Tensor, *geometry: int) -> str:
    """The name of what computes it."""
    return type(convolve(x, weight, None, Geometry(*geometry)).grad_fn).__name__


def test_a_product_of_matrices_is_taken_where_it_is_one() -> None:
    x, weight, _ = tensors()
    assert way(x, weight, 1, 0, 1, 1).startswith("Permute")
    assert way(x, weight, 2, 0, 1, 1).startswith("Convolution")
    assert way(x, weight, 1, 1, 1, 1).startswith("Convolution")
    assert way(x.contiguous(), weight, 1, 0, 1, 1).startswith("Convolution")
    assert convolve(x, weight, None, Geometry(1, 0, 1, 1)).is_contiguous(memory_format=LAST)
    with torch.no_grad():
        assert torch.equal(convolve(x, weight, None, Geometry(1, 0, 1, 1)), functional.conv2d(x, weight))


def test_layers_are_fast_inside_and_themselves_afterwards() -> None:
    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 3, 1),
        nn.Conv2d(3, 3, (1, 3), padding=(0, 1)),
    ).to(memory_format=LAST)  # type: ignore[call-overload]
    x = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=LAST)
    before = network(x)
    with fast_convolutions([network]):
        inside = network(x)
        assert ["forward" in vars(layer) for layer in network] == [True, True, False]
    assert not any("forward" in vars(layer) for layer in network)
    assert torch.allclose(before, inside, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "separable", "narrow", "factorised"])
def test_a_pyramid_projects_without_joining(kind: str) -> None:
    """Output and gradients are those of its own forward, in double; nothing is concatenated."""
    torch.manual_seed(0)
    whole = AtrousPyramid(16, 16, rates=[1, 2], hidden=32, separable=kind == "separable")
    pyramid = {"narrow": pruned(whole, 50), "factorised": low_rank(whole, 50)}.get(kind, whole)
    assert isinstance(pyramid, AtrousPyramid)
    slow = copy.deepcopy(pyramid).double()
    to_training(pyramid, "cpu")
    x = torch.randn(3, 16, 5, 7, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=LAST)
    wanted = slow(x.double())
    upstream = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2))
    expected = torch.autograd.grad(wanted, list(slow.parameters()), upstream.double())
    with fast_convolutions([pyramid]):
        given = pyramid(x)
        gradients = torch.autograd.grad(given, list(pyramid.parameters()), upstream)
        assert given.is_contiguous(memory_format=LAST)
        assert "Cat" not in names_behind(pyramid(x))
        with torch.no_grad():
            assert torch.equal(pyramid.eval()(x), AtrousPyramid.forward(pyramid, x))
    assert "Cat" in names_behind(pyramid(x))
    assert torch.allclose(given.double(), wanted, atol=1e-5)
    for one, other in zip(gradients, expected, strict=True):
        assert torch.allclose(one.double(), other, rtol=1e-3, atol=1e-4)


def names_behind(value: torch.Tensor) -> str:
    """All operations that a value came from."""
    seen, left = set(), [value.grad_fn]
    while left:
        node = left.pop()
        if node is not None and node not in seen:
            seen.add(node)
            left += [before for before, _ in node.next_functions]
    return " ".join(type(node).__name__ for node in seen)


@pytest.mark.skipif(not hasattr(__import__("ctypes").CDLL(None), "mallopt"), reason="needs glibc")
def test_memory_is_kept_between_steps() -> None:
    """A freed map of 64 MB comes back without new pages."""
    import resource

    assert keep_memory()
    for _ in range(2):
        torch.zeros(16 * 2**20).add_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.zeros(16 * 2**20).add_(1.0)
    pages = 4 * 64 * 2**20 // resource.getpagesize()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < pages // 2
