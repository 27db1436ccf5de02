"""Roots of matrices times vectors, against their eigenvalues."""

import torch

from evo_qnas.networks.scoring.curvature import root_times


def test_the_root_is_exact_in_as_many_steps_as_there_are_eigenvalues() -> None:
    """Slow twin: the root by eigenvalues of random matrices of ranks 6 and 3; a vector of zeros stays one."""
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(2, 6, 6, generator=generator, dtype=torch.float64)
    half[1, 3:] = 0.0
    matrices = half.mT @ half
    vectors = torch.randn(2, 6, generator=generator, dtype=torch.float64)
    values, axes = torch.linalg.eigh(matrices)
    roots = (axes * values.clamp_min(0.0).sqrt()[:, None, :]) @ axes.mT
    found = root_times(lambda rows: torch.einsum("nij,nj->ni", matrices, rows), vectors, steps=6)
    torch.testing.assert_close(found, torch.einsum("nij,nj->ni", roots, vectors), rtol=1e-6, atol=1e-8)
    nothing = root_times(lambda rows: rows, torch.zeros(1, 3))
    assert not nothing.any()


def test_eight_steps_do_for_a_thousand_eigenvalues() -> None:
    """The squared length of `sqrt(H) v` is `v' H v`, to a hundredth after eight steps."""
    diagonal = torch.linspace(0.0, 1.0, 1000, dtype=torch.float64)
    vectors = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = root_times(lambda rows: rows * diagonal, vectors)
    wanted = (vectors.square() * diagonal).sum(dim=1)
    torch.testing.assert_close(found.square().sum(dim=1), wanted, rtol=1e-2, atol=0.0)
    torch.testing.assert_close(found, vectors * diagonal.sqrt(), rtol=0.0, atol=0.3)
