"""Distances of outputs from the teacher's, output by output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float

from evo_qnas.data.nests import Nest, leaves
from evo_qnas.errors import NetworkError
from evo_qnas.networks.tasks.classification import divergence

Measure = str | Callable[[Any, Any], torch.Tensor]
KL, MSE = "kl", "mse"
# A squared error counts as a share of the output's variance, which is at least this: a constant output has none.
_LEAST_VARIANCE = 1e-12


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Distance of one output from the teacher's.

    Attributes:
        measure: `kl`, divergence of probabilities; `mse`, squared error over the variance of the teacher's output in
            the batch; or a function of both outputs that gives (n, ..) or a number.
        axis: of the classes, for `kl`.
    """

    measure: Measure
    axis: int = 1

    def of(
        self, output: Float[torch.Tensor, "n *shape"], teacher: Float[torch.Tensor, "n *shape"], temperature: float
    ) -> Float[torch.Tensor, " n"]:
        """The distance of each example, (n,)."""
        if callable(self.measure):
            return per_example_of(self.measure(output, teacher), len(teacher))
        if self.measure == KL:
            apart = divergence(output.movedim(self.axis, 1), teacher.movedim(self.axis, 1), temperature)
            return per_example_of(apart, len(teacher))
        variance = teacher.float().var(correction=0).clamp_min(_LEAST_VARIANCE)
        return per_example_of((output.float() - teacher.float()).square() / variance, len(teacher))

    def agreement(
        self, output: Float[torch.Tensor, "n *shape"], other: Float[torch.Tensor, "n *shape"]
    ) -> Float[torch.Tensor, " n"]:
        """Share of each example's positions at which the largest logit is the same, or values are close.

        Close is within a twentieth of the output's deviation in the batch.
        """
        if self.measure == KL:
            same = output.argmax(self.axis) == other.argmax(self.axis)
        else:
            same = (output.float() - other.float()).abs() <= other.float().std(correction=0) / _CLOSE
        return same.double().reshape(len(other), -1).mean(dim=1)


_CLOSE = 20.0  # about five steps of an 8-bit code whose range is four deviations wide each way. Chosen.


def per_example_of(apart: Float[torch.Tensor, "..."], count: int) -> Float[torch.Tensor, " n"]:
    """Means over everything but the examples; a single number counts for each of them."""
    return apart.expand(count) if apart.ndim == 0 else apart.reshape(count, -1).mean(dim=1)


def distances_of(match: Any, outputs: Nest, *, logits: bool, axis: int | None = None) -> tuple[Distance, ...]:
    """A distance for each output.

    Args:
        match: `auto`, `kl`, `mse` or a function for all outputs; or a list, tuple or dict with one for each.
        outputs: of the model, for their number and shapes.
        logits: outputs are logits of classes, by which `auto` takes the divergence instead of the squared error.
        axis: of classes, where it is known; else the second of maps, the last of tokens.

    Raises:
        NetworkError: there is no such measure, or not one for each output.
    """
    found = leaves(outputs)
    if isinstance(match, Mapping):
        named = dict(outputs) if isinstance(outputs, Mapping) else {}
        if set(match) != set(named):
            raise NetworkError(f"match names the outputs {sorted(match)}, the model gives {sorted(named) or 'no dict'}")
        match = [match[name] for name, part in named.items() for _ in leaves(part)]
    each = list(match) if isinstance(match, list | tuple) else [match] * len(found)
    if len(each) != len(found):
        raise NetworkError(f"match has {len(each)} entries, the model gives {len(found)} tensors")
    return tuple(
        Distance(measure=_measure(one, logits), axis=_axis(leaf, axis)) for one, leaf in zip(each, found, strict=True)
    )


def _measure(match: Any, logits: bool) -> Measure:
    """The measure that `match` names."""
    if match == "auto":
        return KL if logits else MSE
    if callable(match) or match in {KL, MSE}:
        return match  # type: ignore[no-any-return]  # either of the two kinds of `Measure`
    raise NetworkError(f"match = {match!r}: choose 'auto', 'kl', 'mse' or a function of both outputs")


def _axis(output: torch.Tensor, axis: int | None) -> int:
    if axis is not None:
        return min(axis, output.ndim - 1)
    return output.ndim - 1 if output.ndim == 3 else 1
