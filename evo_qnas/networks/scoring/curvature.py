"""The square root of a symmetric matrix times a vector, from products with the matrix alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float

# Steps of Lanczos: exact for as many distinct eigenvalues. Curvatures of logits have one a class and position.
_STEPS = 8
# What is left of a step below this share of the largest eigenvalue is rounding: products are float32.
_LEAST = 1e-5

Product = Callable[[Float[torch.Tensor, "n k"]], Float[torch.Tensor, "n k"]]


def root_times(
    product: Product, vectors: Float[torch.Tensor, "n k"], *, steps: int = _STEPS
) -> Float[torch.Tensor, "n k"]:
    """`sqrt(H) v` of each row: a matrix of its own and a vector.

    Args:
        product: `H v` of each row; the matrices are symmetric, negative eigenvalues count as 0.
        vectors: one a row.
        steps: of Lanczos, each a product.

    Source: Golub & Van Loan 2013, Matrix computations, section 10.1, without orthogonalization, which
    so few steps do not need; Saad 1992 for functions of matrices, `|v| Q f(T) e1`.
    """
    steps, least = min(steps, vectors.shape[1]), torch.finfo(vectors.dtype).tiny
    size = vectors.norm(dim=1, keepdim=True)
    basis, diagonal, beside = [vectors / size.clamp_min(least)], list[torch.Tensor](), list[torch.Tensor]()
    scale = torch.zeros_like(size[:, 0])
    for step in range(steps):
        following = product(basis[-1])
        if step:
            following = following - beside[-1][:, None] * basis[-2]
        diagonal.append(torch.linalg.vecdot(following, basis[-1]))
        following = following - diagonal[-1][:, None] * basis[-1]
        left = following.norm(dim=1)
        scale = torch.maximum(scale, diagonal[-1].abs())
        ended = left <= _LEAST * scale
        beside.append(torch.where(ended, 0.0, left))
        basis.append(following * torch.where(ended, 0.0, 1.0 / left.clamp_min(least))[:, None])
    matrix = torch.diag_embed(torch.stack(diagonal, dim=1))
    if steps > 1:
        off = torch.stack(beside[:-1], dim=1)
        matrix = matrix + torch.diag_embed(off, 1) + torch.diag_embed(off, -1)
    values, directions = torch.linalg.eigh(matrix.double())
    shares = (directions * values.clamp_min(0.0).sqrt()[:, None, :]) @ directions[:, 0, :, None]
    weights = shares[:, :, 0].to(vectors.dtype) * size
    made = torch.zeros_like(vectors)
    for step in range(steps):
        made += weights[:, step, None] * basis[step]
    return made
