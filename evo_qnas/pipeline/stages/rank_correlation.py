"""The rank correlation of score and metric, over random networks."""

from typing import final

from evo_qnas.pipeline.context import RunContext, digest
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.validation import rank_correlation


@final
class RankCorrelationStage(Stage):
    """Leaves `networks/random.json`, which carries its fingerprint."""

    name = "rank_correlation"
    about = "agreement of score and metric on random networks"
    part_of = "networks"

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of the number of networks."""
        return digest("random", context.fingerprints.tables, context.card.validation.random_networks)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the rank correlation."""
        tables = required(state.tables, "tables")
        return state.having(rank_correlation=rank_correlation(context, tables, jobs=resources.jobs))
