"""Validated networks ranked by what was measured; the archive keeps them."""

from typing import final

from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.validation import BASELINE, keep_validated, ranked, stored_outcomes


@final
class RankingStage(Stage):
    """Leaves the validated table in `archive.h5`."""

    name = "ranking"
    about = "validated networks against each other: dominated ones and ties"
    part_of = "networks"

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of fine-tuning."""
        return context.fingerprints.finetuned(self.name)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with ranked networks."""
        outcomes = stored_outcomes(context, state.networks)
        networks = ranked(state.networks, context.task, baseline=BASELINE, outcomes=outcomes, seed=context.card.seed)
        archive = keep_validated(required(state.archive, "archive"), networks)
        return state.having(networks=networks, archive=archive)
