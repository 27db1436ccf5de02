"""Candidate operators by name, with values for their parameters."""

from collections.abc import Sequence

from evo_qnas.pipeline.cards.problem import OperatorUse

Values = int | Sequence[int]


def operator(name: str, *, blocks: Sequence[str] = (), **values: Values) -> OperatorUse:
    """A candidate operator, as an entry of `[[operators]]` in a card.

    Args:
        name: of an operator card, or path of one.
        blocks: those it is offered for; all where empty.
        values: of its parameters, one or several each; all combinations are candidates.

    Example:
        >>> operator("inverted_residual", expansion=[2, 4]).parameters
        {'expansion': [2, 4]}
    """
    lists = {key: [value] if isinstance(value, int) else list(value) for key, value in values.items()}
    return OperatorUse(card=name, blocks=list(blocks), parameters=lists)


def use_of(entry: "str | OperatorUse") -> OperatorUse:
    """The operator that a name or a value stands for."""
    return operator(entry) if isinstance(entry, str) else entry
