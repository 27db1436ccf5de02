"""A run whose card says `blocks.names = "auto"`, with the blocks that are found."""

from dataclasses import replace
from pathlib import Path

from evo_qnas.cards import nearest
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
    names = list(auto_blocks(context.untrained, context.example))
    for block in sorted({block for use in card.operators for block in use.blocks} - set(names)):
        raise CardError(f"operators: no block is called {block!r}; {nearest(block, names)}")
    return replace(context, card=card.model_copy(update={"blocks": BlocksCard(names=names)}))


def listed_blocks(context: RunContext) -> PossibleBlocks:
    """Every possible block of the run's model, with the operator cards that fit it, or the shipped ones without any."""
    operators: dict[str, tuple[Operator, ...]] = {}
    for use in context.card.operators:
        name = Path(use.card).stem
        operators[name] = (*operators.get(name, ()), *load_operators(use.card, use.parameters))
    return possible_blocks(context.untrained, context.example, operators=operators or None)
