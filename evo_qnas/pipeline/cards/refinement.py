"""The section `[refinement]` of a problem card."""

from typing import Annotated

from pydantic import Field

from evo_qnas.cards import Card
from evo_qnas.networks.training.refine import Refinement


class RefinementCard(Card):
    """`[refinement]`: a few quantization-aware steps before scoring, see `networks.refine`; without it none.

    Attributes:
        steps: training steps of each operator at each weight bits; batches are as large as in `[distillation]`.
        learning_rate: highest rate of weights and biases.
        step_learning_rate: highest rate of the logarithms of step sizes.
        most_weight_bits: choices with more are scored as they are.
    """

    steps: Annotated[int, Field(ge=1, le=10**9)] = 50
    learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    step_learning_rate: Annotated[float, Field(gt=0.0)] = 1e-2
    most_weight_bits: Annotated[int, Field(ge=2, le=8)] = 4

    def settings(self, batch_size: int) -> Refinement:
        """The same as a plain value."""
        return Refinement(batch_size=batch_size, **self.model_dump(exclude={"most_weight_bits"}))
