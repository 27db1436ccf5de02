"""Fingerprints: what each file of a run depends on."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from evo_qnas.networks.quantization.recipe import PLAIN
from evo_qnas.networks.scoring.fisher import FISHER
from evo_qnas.networks.scoring.local import SCORING
from evo_qnas.pipeline.cards.problem import Settings
from evo_qnas.pipeline.context.candidates import Offers
from evo_qnas.pipeline.context.digests import digest


@final
@dataclass(frozen=True, kw_only=True)
class Fingerprints:
    """Digests of what the parts of a run depend on; two runs with equal ones give equal files.

    Attributes:
        card: the settings of the run.
        workload: digest of model, data and task.
        offers: the candidate operators of each block.
    """

    card: Settings
    workload: str
    offers: Offers

    @property
    def teacher(self) -> str:
        """The teacher's weights, and all else that the workload decides."""
        return self.workload

    def candidate(self, block: str, operator: str) -> str:
        """The weights of a trained candidate."""
        parameters = dict(self.offers.operator(operator).parameters)
        # Where features are cached changes nothing, but their dtype does.
        distillation = self.card.distillation
        settings = distillation.model_dump(mode="json", exclude={"features"})
        dtype = distillation.features.dtype
        return digest("candidate", self.teacher, block, operator, parameters, settings, dtype)

    def refined(self, block: str, operator: str, bits: int) -> str:
        """Refined weights of a candidate, or of the teacher's own block."""
        card = self.card
        source = self.candidate(block, operator) if operator in self.offers.labels else self.teacher
        settings = None if card.refinement is None else card.refinement.model_dump(exclude={"most_weight_bits"})
        learning = (
            card.distillation.batch_size,
            card.distillation.features.dtype,
            card.quantization.calibration_images,
        )
        recipe = card.quantization.recipe
        started = [] if recipe == PLAIN else [dataclasses.asdict(recipe)]
        return digest("refined", source, block, operator, bits, settings, learning, *started)

    @cached_property
    def blocks(self) -> str:
        """The weights of all trained candidates."""
        return digest("blocks", self._candidates(self.card.blocks.names))

    @cached_property
    def tables(self) -> str:
        """Scores and costs of every choice."""
        return self._scores("tables", self.card.blocks.names)

    def scores(self, block: str) -> str:
        """The scores of one block; the candidates of other blocks are no part of it."""
        return self._scores("scores", [block])

    def in_context(self, block: str) -> str:
        """The in-context scores of one block."""
        settings = self.card.in_context
        return digest("in context", self.scores(block), None if settings is None else settings.measure)

    def gradients(self) -> str:
        """The gradients at the ends of all blocks."""
        settings = self.card.fisher
        values = None if settings is None else settings.model_dump(mode="json")
        return digest("gradients", self.teacher, FISHER, values, self.card.seed)

    def fisher(self, block: str) -> str:
        """The scores by gradients of one block."""
        return digest("fisher", self.scores(block), self.gradients())

    def finetuned(self, stage: str) -> str:
        """Files of a stage that depend on the tables and on fine-tuning."""
        return digest(stage, self.tables, self.card.finetuning.model_dump(mode="json"), self.card.seed)

    def network(self, identity: str, choices: Sequence[Any]) -> str:
        """A validated network."""
        settings = self.card.finetuning.model_dump(mode="json")
        return digest("network", self.tables, identity, list(choices), settings)

    def _candidates(self, blocks: Sequence[str]) -> list[str]:
        return [self.candidate(block, operator.label) for block in blocks for operator in self.offers.of(block)]

    def _scores(self, what: str, blocks: Sequence[str]) -> str:
        """Scores of these blocks."""
        quantization = self.card.quantization.model_dump(mode="json")
        refinement = None if self.card.refinement is None else self.card.refinement.model_dump(mode="json")
        found = self.offers.left_out_in_floats
        in_codes = [[sorted(found[block]) for block in blocks if block in found]] if found else []
        return digest(what, SCORING, self.teacher, self._candidates(blocks), quantization, refinement, *in_codes)
