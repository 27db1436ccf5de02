"""Rules of products of results, attention among them."""

from typing import Any

import torch
from torch import fx

from evo_qnas.networks.candidates.channels.classes import STAYS
from evo_qnas.networks.candidates.channels.labelling import Labelling, Rule
from evo_qnas.networks.candidates.channels.rules.values import combined, joined


def _product(state: Labelling, node: fx.Node) -> Any:
    left, right = (state.of(argument) for argument in node.args[:2])
    if min(left.ndim, right.ndim) < 2 or node.meta["val"].ndim != max(left.ndim, right.ndim):
        return state.stays(node)
    return _multiplied(state, left, right, narrows=True)


def _multiplied(state: Labelling, left: Any, right: Any, *, narrows: bool) -> Any:
    """Labels of a product of matrices (.., i, k) and (.., k, j): (.., i, j).

    Where one side stays, the other's channels go on. Where both have the same channels along k alone in all matrices,
    these are added up and are seen no more. Else each pair of matrices, a head of attention, goes as a whole.

    Args:
        state: of the block.
        left: labels.
        right: labels.
        narrows: True where fewer channels along k change nothing but the sum; False where its scale depends on their
            number.
    """
    leading = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = left.expand(*leading, *left.shape[-2:]), right.expand(*leading, *right.shape[-2:])
    shape = (*leading, left.shape[-2], right.shape[-1])
    roots = state.classes.roots
    if not roots(left).any() and state.classes.is_spread(right, -2):
        return right.narrow(-2, 0, 1).expand(shape)
    if not roots(right).any() and state.classes.is_spread(left, -1):
        return left.narrow(-1, 0, 1).expand(shape)
    if narrows and _only_along(state, left, left.ndim - 1) and _only_along(state, right, right.ndim - 2):
        state.classes.merge(left.transpose(-1, -2)[..., 0], right[..., 0])
        return torch.full((), STAYS, device="cpu").expand(shape)
    last = [left.ndim - 2, left.ndim - 1]
    one, other = joined(state, left, last), joined(state, right, last)
    state.classes.merge(one, other)
    # The channels of the right side keep their own names, so that it is known whose weights made them.
    return (right if state.classes.is_spread(right, -2) else one).narrow(-2, 0, 1).expand(shape)


def _only_along(state: Labelling, labels: Any, axis: int) -> bool:
    return all(state.classes.is_spread(labels, other) for other in range(labels.ndim) if other != axis)


def _attention(state: Labelling, node: fx.Node) -> Any:
    """softmax(q k^T) v, heads being matrices of one axis."""
    query, key, value = (state.of(argument) for argument in node.args[:3])
    if node.kwargs.get("enable_gqa") or query.ndim != key.ndim or query.ndim < 3:
        return state.stays(node)
    scores = _multiplied(state, query, key.transpose(-1, -2), narrows=node.kwargs.get("scale") is not None)
    mask = node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")
    if isinstance(mask, fx.Node):
        scores = combined(state, [scores, state.of(mask)], scores.shape)
    joined(state, scores, [scores.ndim - 1])
    return _multiplied(state, scores, value, narrows=True)


RULES: dict[str, Rule] = {
    **dict.fromkeys(("matmul", "bmm", "mm"), _product),
    "scaled_dot_product_attention": _attention,
}
