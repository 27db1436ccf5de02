"""What a model is called with."""

from collections.abc import Callable
from typing import Any

from evo_qnas.data import Splits
from evo_qnas.data.live import Reading, no_targets
from evo_qnas.data.nests import Nest, rows
from evo_qnas.errors import DataError


def reading_of(inputs: Callable[[Any], Any] | None, targets: Callable[[Any], Any] | str | None) -> Reading:
    """The reading of batches: `auto` targets are the second of several parts, None are none."""
    plain = Reading()
    chosen = plain.targets if targets == "auto" else no_targets if targets is None else targets
    if not callable(chosen):
        raise DataError(f"targets = {targets!r}: give a function of a batch, None for no labels, or 'auto'")
    return Reading(inputs=inputs or plain.inputs, targets=chosen)


def example_of(splits: Splits) -> Nest:
    """Inputs of two examples."""
    return rows(splits.train.take(slice(0, 2))[0], slice(0, 2))
