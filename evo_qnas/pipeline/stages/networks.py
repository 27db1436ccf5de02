"""Networks of the fronts, picked, assembled, fine-tuned and validated."""

from typing import final

from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.problems import score_of
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.validation import pick, validate_picks


@final
class NetworksStage(Stage):
    """Leaves `networks/<id>/`."""

    name = "networks"
    about = "picks of the front, assembled, fine-tuned and measured"
    outputs = ("networks",)

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables and of fine-tuning; which networks are picked is in each one's own."""
        return context.fingerprints.finetuned(self.name)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the validated picks of all searches."""
        tables = required(state.tables, "tables")
        picks, searches = _picks(context, state)
        networks = validate_picks(context, tables, picks, jobs=resources.jobs)
        return state.having(networks=tuple(network.having(searches=searches[network.id]) for network in networks))


def _picks(context: RunContext, state: RunState) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[str, ...]]]:
    """Networks to validate by id, and the searches that each is a pick of; "" is the main search."""
    tables, archive = required(state.tables, "tables"), required(state.archive, "archive")
    settings, score = context.card.validation, score_of(context.card.search)
    by_search = {"": pick(tables, archive.front.genomes, settings.size_shares, score=score, least=settings.least_picks)}
    for name, other in state.searches.items():
        further = context.card.searches[name]
        by_search[name] = pick(
            tables,
            other.front.genomes,
            further.pick_shares,
            column=further.pick_by,
            score=score_of(further),
            least=len(further.pick_shares),
        )
    picks = {identity: genome for part in by_search.values() for identity, genome in part.items()}
    searches = {identity: tuple(name for name, part in by_search.items() if identity in part) for identity in picks}
    return picks, searches
