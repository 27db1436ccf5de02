"""`evo-qnas profile`: what is known before any search."""

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.tables import load
from evo_qnas.errors import InfeasibleError
from evo_qnas.pareto.profile import profile
from evo_qnas.problem import TableProblem
from evo_qnas.terminal import say_text


class Format(StrEnum):
    """Formats in which the profile is printed."""

    text = "text"
    json = "json"


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command(
        name="profile",
        epilog="Example: evo-qnas profile tables.h5 --objective score --constraint 'latency_ms <= 4'",
    )(run)


def run(
    tables: Annotated[Path, typer.Argument(help="Tables, HDF5 or CSV.", show_default=False)],
    objective: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Column, mean:, max: or module:function; repeat.")
    ] = None,
    constraint: Annotated[
        list[str] | None, typer.Option(metavar="LIMIT", help="Limit such as 'latency_ms <= 4'; repeat.")
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Networks drawn for medians and shares.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    form: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.text,
) -> None:
    """Size of the space, what each column spans, and which limits can be met; exit code 2 where they cannot."""
    loaded = load(tables)
    if objective or constraint:
        names = objective or [next(iter(loaded.columns))]
        found = profile(TableProblem(loaded, names, constraint or []), samples=samples, seed=seed)
    else:
        found = profile(loaded, samples=samples, seed=seed)
    # The reason goes to stderr, with the exit code.
    say_text(json.dumps(found.to_dict(), indent=1) if form is Format.json else replace(found, reason="").text())
    if found.reason:
        raise InfeasibleError(found.reason)
