"""A metric as a value: outcomes of each example, and their reduction."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Shaped

from evo_qnas.data import Examples
from evo_qnas.data.nests import leaves
from evo_qnas.errors import NetworkError

Outcomes = Shaped[torch.Tensor, "examples *numbers"]  # numbers, or true and false


def mean_of(outcomes: Outcomes) -> float:
    """Mean of all numbers."""
    return float(outcomes.double().mean())


def share_of(outcomes: Outcomes) -> float:
    """Share of ones; of outcomes (n, 2) the sum of the first over that of the second."""
    if outcomes.ndim == 1:
        return float(outcomes.double().mean())
    right, all_of_them = outcomes.double().sum(dim=0)
    return float(right / all_of_them.clamp_min(1.0))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number for a network on data, made of outcomes of each example, which give its standard error as well.

    Attributes:
        name: in words.
        each: outcomes (n, *numbers) of a batch, from outputs and targets.
        reduce: the metric of the outcomes of all examples.
        maximize: a larger value is a better one.
        unit: `%` for a share 0..1, which people are shown times 100; else the unit, "" for none.
        logits: outputs are logits of classes, which are matched with the teacher's by the divergence of probabilities.
    """

    name: str
    each: Callable[[Any, Any], Outcomes]
    reduce: Callable[[Outcomes], float] = mean_of
    maximize: bool = True
    unit: str = ""
    logits: bool = False

    def __call__(self, predict: Callable[[Any], Any], data: Examples) -> float:
        """The metric of a function from inputs to outputs.

        Raises:
            NetworkError: there is no example.
        """
        return self.reduce(outcomes_of(self, ((predict(inputs), targets) for inputs, targets in data.batches())))

    def is_mean(self, outcomes: Outcomes) -> bool:
        """True where the metric is the mean of one number an example, whose standard error needs no resampling."""
        return outcomes.ndim == 1 and self.reduce in {mean_of, share_of}


def outcomes_of(metric: Metric, pairs: Iterable[tuple[Any, Any]]) -> Outcomes:
    """Outcomes of all examples, numbers: true and false are 1 and 0.

    Those that a mean is taken of are int32 where all are 0 or 1, which makes the mean a share, and floats else.

    Args:
        metric: of the outcomes.
        pairs: outputs and targets of each batch.

    Raises:
        NetworkError: there is no example, or a batch gives no tensor of an outcome for each example.
    """
    parts = []
    for outputs, targets in pairs:
        parts.append(_checked(metric.each(outputs, targets), outputs, metric.name))
    if not parts:
        raise NetworkError("a metric needs at least one example")
    found = torch.cat(parts).cpu()
    if found.is_floating_point():
        return found
    if metric.is_mean(found):
        return found.int() if bool(((found == 0) | (found == 1)).all()) else found.double()
    return found.double() if found.dtype == torch.bool else found


def _checked(part: Any, outputs: Any, name: str) -> Outcomes:
    """The outcomes of a batch, one for each of its examples."""
    count = next((len(leaf) for leaf in leaves(outputs) if leaf.ndim), None)
    if isinstance(part, torch.Tensor) and part.ndim and count in {None, len(part)}:
        return part
    got = f"shape {tuple(part.shape)}" if isinstance(part, torch.Tensor) else type(part).__name__
    raise NetworkError(
        f"the metric {name!r} gives {got} for {count or 'some'} examples: give a tensor (n,) or (n, ..) of an outcome "
        "for each"
    )


def per_example(
    each: Callable[[Any, Any], Outcomes],
    *,
    reduce: Callable[[Outcomes], float] = mean_of,
    name: str | None = None,
    maximize: bool = True,
    unit: str = "",
) -> Metric:
    """A metric of yours.

    Args:
        each: outcomes (n, *numbers) of a batch, from outputs and targets.
        reduce: of the outcomes of all examples, their mean where absent.
        name: in words; that of the function where absent.
        maximize: a larger value is a better one.
        unit: `%` for a share 0..1; else the unit.

    Example:
        >>> within = per_example(lambda outputs, targets: (outputs - targets).abs() < 0.5, name="hits", unit="%")
        >>> within.reduce(within.each(torch.tensor([1.0, 2.0]), torch.tensor([1.2, 4.0])))
        0.5
    """
    called = name or str(getattr(each, "__name__", type(each).__name__))
    return Metric(name=called, each=each, reduce=reduce, maximize=maximize, unit=unit)
