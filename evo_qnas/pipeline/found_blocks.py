"""A run whose card says `blocks.names = "auto"`, with the blocks that are found."""

from dataclasses import replace
from pathlib import Path

from evo_qnas.cards import list_cards, nearest
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.finding import auto_blocks
from evo_qnas.networks.candidates.listing import PossibleBlocks, possible_blocks
from evo_qnas.networks.candidates.operators import Operator, load_operators
from evo_qnas.pipeline.cards.problem import BlocksCard
from evo_qnas.pipeline.context import RunContext


def with_blocks(context: RunContext) -> RunContext:
    """The run with the names of its blocks, found where the card asks for that.

    Raises:
        CardError: an operator is offered for a block that was not found.
        NetworkError: no block is found.
    """
    card = context.card
    if not card.blocks.found:
        return context
    names = list(auto_blocks(context.workload.new_model(), context.example))
    for block in sorted({block for use in card.operators for block in use.blocks} - set(names)):
        raise CardError(f"operators: no block is called {block!r}; {nearest(block, names)}")
    return replace(context, card=card.model_copy(update={"blocks": BlocksCard(names=names)}))


def fitting_operators(context: RunContext) -> PossibleBlocks:
    """The blocks of a run with every operator card that ships, and those that the card names.

    Raises:
        NetworkError: a name of the card is no possible block, or none is found.
    """
    operators = {name: load_operators(name, {}) for name in list_cards("operators/blocks")}
    operators |= _named(context)
    names = "auto" if context.card.blocks.found else context.card.blocks.names
    return possible_blocks(context.workload.new_model(), context.example, operators=operators, names=names)


def listed_blocks(context: RunContext) -> PossibleBlocks:
    """Every possible block of the run's model, with the operator cards that fit it, or the shipped ones without any."""
    return possible_blocks(context.workload.new_model(), context.example, operators=_named(context) or None)


def _named(context: RunContext) -> dict[str, tuple[Operator, ...]]:
    """The operators that a card offers, by the name of their card."""
    operators: dict[str, tuple[Operator, ...]] = {}
    for use in context.card.operators:
        name = Path(use.card).stem
        operators[name] = (*operators.get(name, ()), *load_operators(use.card, use.parameters))
    return operators
