"""The sections of a problem card about further scores: `[in_context]` and `[fisher]`."""

from typing import Annotated, Literal

from pydantic import Field

from evo_qnas.cards import Card


class InContextCard(Card):
    """`[in_context]`: a second score column `score_in_context`, see `networks.scoring.in_context`; without it none.

    Attributes:
        measure: `kl`, divergence from the teacher's output, or `loss`, rise of the task's loss.
    """

    measure: Literal["kl", "loss"] = "kl"


class FisherCard(Card):
    """`[fisher]`: a score column `score_fisher`, see `networks.scoring.fisher`; without it none.

    Attributes:
        examples: search examples that the gradients are of, the first ones.
        draws: gradients of each example.
    """

    examples: Annotated[int, Field(ge=2, le=10**6)] = 256
    draws: Annotated[int, Field(ge=1, le=1024)] = 4
