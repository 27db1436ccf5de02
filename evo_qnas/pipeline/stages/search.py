"""The searches: the main one, and further ones over the same tables."""

from functools import partial
from typing import final

from evo_qnas.archive import Archive
from evo_qnas.cards import nearest
from evo_qnas.errors import CardError
from evo_qnas.pipeline.cards.search import FurtherSearch, SearchCard
from evo_qnas.pipeline.context import RunContext, digest, seed_of
from evo_qnas.pipeline.problems import expected_tables, problem_of
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.problem import TableProblem
from evo_qnas.search import ALGORITHMS, search


@final
class SearchStage(Stage):
    """Leaves `archive.h5`, of each further search `archive-NAME.h5`."""

    name = "search"
    about = "the front over the tables, of the main and all further searches"
    outputs = ("archive.h5*", "archive-*.h5*")

    def check(self, context: RunContext) -> None:
        """Tries every search on tables of the right columns."""
        check_search(context)

    def fingerprint(self, context: RunContext) -> str:
        """That of the tables with all their columns, and of the searches."""
        card = context.card
        sections = (
            card.search,
            *card.searches.values(),
            card.latency,
            card.compiled,
            card.in_context,
            card.fisher,
        )
        settings = [None if section is None else section.model_dump(mode="json") for section in sections]
        return digest("search", context.fingerprints.tables, settings, list(card.searches), card.seed)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with problem and archives."""
        tables = required(state.tables, "tables")
        problem = problem_of(context, tables)
        archive = make_archive(context, problem)
        further = {
            name: resources.time(
                f"search {name}", partial(make_archive, context, problem_of(context, tables, settings), name)
            )
            for name, settings in context.card.searches.items()
        }
        return state.having(problem=problem, archive=archive, searches=further)


def check_search(context: RunContext) -> None:
    """Tries each search's objectives, limits and algorithm on tables of the right columns, before anything is trained.

    Raises:
        CardError: there is no such algorithm, or a search picks by a column that there is not.
        ProblemError: an objective or limit names nothing, or cannot be read.
    """
    tables = expected_tables(context)
    searches: dict[str, SearchCard] = {"search": context.card.search}
    searches |= {f"searches.{name}": search for name, search in context.card.searches.items()}
    for name, settings in searches.items():
        problem_of(context, tables, settings)
        algorithm = settings.algorithm
        if algorithm not in ALGORITHMS:
            raise CardError(f"{name}.algorithm = {algorithm!r}: there is none; {nearest(algorithm, list(ALGORITHMS))}")
        if isinstance(settings, FurtherSearch) and settings.pick_by not in tables.columns:
            raise CardError(f"{name}.pick_by = {settings.pick_by!r}: {nearest(settings.pick_by, list(tables.columns))}")


def make_archive(context: RunContext, problem: TableProblem, name: str = "") -> Archive:
    """`archive.h5`, of a further search `archive-NAME.h5`: every evaluation of the search and its front."""
    settings = context.card.searches[name] if name else context.card.search
    return search(
        problem,
        algorithm=settings.algorithm,
        evaluations=settings.evaluations,
        population=settings.population,
        seed=seed_of("search", context.card.seed, *([name] if name else [])) % 2**31,
        path=context.paths.archive(name),
    )
