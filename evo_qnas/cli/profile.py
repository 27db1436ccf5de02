"""`evo-qnas profile`: what is known before any search."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.groups import SEARCHES
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson
from evo_qnas.cli.paths import load_tables
from evo_qnas.errors import InfeasibleError
from evo_qnas.terminal import say_text

_HELP = """Says what is known of tables before any search.

Size of the space, what each column spans, and which limits can be met; exit code 2 where they cannot.

Example: evo-qnas profile tables.h5 --objective score --constraint 'latency_ms <= 4'
"""


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command("profile", help=_HELP, cls=Verb, rich_help_panel=SEARCHES)(run)


def run(
    tables: Annotated[Path, typer.Argument(metavar="FILE", help="tables (HDF5, CSV), or DIR")],
    objective: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="column, mean:, max: or worst:COLUMN, module:function; repeatable",
            autocompletion=completion.columns,
        ),
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="LIMIT", help="limit such as 'latency_ms <= 4'; repeatable")
    ] = None,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="networks drawn for medians and shares")] = 1000,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="seed of the draw")] = 0,
    as_json: AsJson = False,
) -> None:
    """Describes tables."""
    from evo_qnas.pareto.profile import profile
    from evo_qnas.problem import TableProblem

    loaded = load_tables(tables)
    if objective or constraint:
        names = objective or [next(iter(loaded.columns))]
        found = profile(TableProblem(loaded, names, constraint or []), samples=samples, seed=seed)
    else:
        found = profile(loaded, samples=samples, seed=seed)
    # The reason goes to stderr, with the exit code.
    say_text(json.dumps(found.to_dict(), indent=1) if as_json else replace(found, reason="").text())
    if found.reason:
        raise InfeasibleError(found.reason)
