"""The square root of a symmetric matrix times a vector, from products with the matrix alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float

# Steps of Lanczos: exact for as many distinct eigenvalues. Curvatures of logits have one a class and position.
_STEPS = 8
# Of the first vector's length: what is left of a step below it is rounding.
_LEAST = 1e-6

Product = Callable[[Float[torch.Tensor, "n k"]], Float[torch.Tensor, "n k"]]


def root_times(
    product: Product, vectors: Float[torch.Tensor, "n k"], *, steps: int = _STEPS
) -> Float[torch.Tensor, "n k"]:
    """`sqrt(H) v` of each row: a matrix of its own and a vector.

    Args:
        product: `H v` of each row; the matrices are symmetric, negative eigenvalues count as 0.
        vectors: one a row.
        steps: of Lanczos, each a product.

    Source: Golub & Van Loan 2013, Matrix computations, section 10.1, with full orthogonalization; Saad 1992 for
    functions of matrices, `|v| Q f(T) e1`.
    """
    steps = min(steps, vectors.shape[1])
    least = torch.finfo(torch.float64).tiny
    size = vectors.double().norm(dim=1, keepdim=True)
    basis, diagonal, beside = [vectors.double() / size.clamp_min(least)], [], []
    for _ in range(steps):
        following = product(basis[-1].to(vectors.dtype)).double()
        diagonal.append((following * basis[-1]).sum(dim=1))
        for _ in range(2):  # once leaves rounding of the first subtractions
            for known in basis:
                following = following - (following * known).sum(dim=1, keepdim=True) * known
        left = following.norm(dim=1)
        scale = torch.stack(diagonal).abs().amax(dim=0)
        ended = left <= _LEAST * scale
        beside.append(torch.where(ended, 0.0, left))
        basis.append(
            torch.where(ended[:, None], 0.0, following / left.clamp_min(torch.finfo(torch.float64).tiny)[:, None])
        )
    matrix = torch.diag_embed(torch.stack(diagonal, dim=1))
    if steps > 1:
        off = torch.stack(beside[:-1], dim=1)
        matrix = matrix + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, directions = torch.linalg.eigh(matrix)
    shares = (directions * values.clamp_min(0.0).sqrt()[:, None, :]) @ directions[:, 0, :, None]
    made: torch.Tensor = torch.einsum("ns,snk->nk", shares[:, :, 0], torch.stack(basis[:steps])) * size
    return made.to(vectors.dtype)
