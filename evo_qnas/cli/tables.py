"""`evo-qnas tables`: check, import and export tables."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion, measure
from evo_qnas.cli.groups import SEARCHES
from evo_qnas.cli.help_pages import Verb, Verbs
from evo_qnas.cli.options import AsJson
from evo_qnas.cli.paths import load_tables, must_be_hdf5, must_end
from evo_qnas.errors import TableError
from evo_qnas.terminal import say, say_text

_verbs = typer.Typer(
    help="Checks, imports, measures, joins and exports tables of scores and costs.",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,
)
_FILE = typer.Argument(metavar="FILE", help="tables (HDF5, CSV), or DIR")
_OUTPUT = typer.Option("-o", "--output", metavar="FILE", help="tables to write (HDF5)")


def register(app: typer.Typer) -> None:
    """Adds the verbs to the command line."""
    measure.register(_verbs)
    app.add_typer(_verbs, name="tables", rich_help_panel=SEARCHES)


@_verbs.command(cls=Verb)
def check(file: Annotated[Path, _FILE], as_json: AsJson = False) -> None:
    """Names what is odd about tables.

    Exit code 1 where a finding is an error.

    Example: evo-qnas tables check tables.h5
    """
    tables = load_tables(file)
    findings = tables.check()
    if as_json:
        say_text(json.dumps([{"severity": f.severity, "rule": f.rule, "text": f.text} for f in findings], indent=1))
    else:
        say(
            f"{file}: {len(tables.blocks)} blocks, {int(tables.choices.sum())} choices, "
            f"columns {', '.join(tables.columns)}"
        )
        for finding in findings:
            say(f"{finding.severity}: {finding.rule}: {finding.text}")
        if not findings:
            say("nothing found")
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


@_verbs.command("import", cls=Verb)
def import_(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, or a published table")],
    output: Annotated[Path, _OUTPUT],
    kind: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help=f"{', '.join(completion.TABLE_KINDS)} [default: found in the file]",
            autocompletion=completion.of(completion.TABLE_KINDS),
        ),
    ] = None,
    maximize: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="column of which more is better (CSV); repeatable")
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=UNIT", help="unit of a column (CSV); repeatable")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="published policies beside a HAQ array (JSON)")
    ] = None,
    drop_nan: Annotated[bool, typer.Option("--drop-nan", help="leave out choices with a NaN")] = False,
) -> None:
    """Turns a CSV file or a published table into tables.

    Example: evo-qnas tables import measured.csv -o tables.h5
    """
    from evo_qnas.tables import Direction, Tables
    from evo_qnas.tables.importers import detect_kind, import_haq, import_tables

    chosen = detect_kind(source) if kind is None else kind
    if chosen != "csv" and (maximize or unit):
        raise TableError(f"--maximize and --unit are for CSV; {source} is of the kind {chosen}")
    if chosen == "csv":
        directions: dict[str, Direction] = dict.fromkeys(maximize or [], "maximize")
        tables = Tables.from_csv(source, units=_units(unit or []), directions=directions)
    elif chosen == "haq" and policy is not None:
        tables = import_haq(source, policy=policy)
    else:
        tables = import_tables(source, kind=chosen)
    if drop_nan:
        tables = tables.drop_nan()
    tables.save(must_be_hdf5(output, "tables"))
    say(f"{output}: {len(tables.blocks)} blocks, {int(tables.choices.sum())} choices, {', '.join(tables.columns)}")


def _units(texts: list[str]) -> dict[str, str]:
    """Units of `column=unit`."""
    found = {}
    for text in texts:
        name, mark, unit = text.partition("=")
        if not mark or not name or not unit:
            raise TableError(f"--unit {text!r} must read column=unit, for example latency=ms")
        found[name] = unit
    return found


@_verbs.command(cls=Verb)
def join(
    file: Annotated[Path, _FILE],
    measured: Annotated[Path, typer.Argument(metavar="CSV", help="measurements, for example of measure_blocks.py")],
    output: Annotated[Path, _OUTPUT],
) -> None:
    """Joins measurements of other devices into tables.

    Rows are block,operator,weight_bits,activation_bits,mean,spread,device. Each device becomes a column such as
    latency_ms@pi4; worst:latency_ms is a network's slowest device. Cells metric,unit give energy_mj@pi4 and the like.

    Example: evo-qnas tables join tables.h5 pi4.csv -o with_pi4.h5
    """
    from evo_qnas.tables.measured import join_measured

    tables, names = join_measured(load_tables(file), measured)
    tables.save(must_be_hdf5(output, "tables"))
    say(f"{output}: {', '.join(names)}")


@_verbs.command(cls=Verb)
def export(
    file: Annotated[Path, _FILE],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="CSV to write")],
    formulas: Annotated[bool, typer.Option("--formulas", help="leave names that spreadsheets would run")] = False,
) -> None:
    """Writes tables as CSV, one row a choice.

    Names that begin as formulas are marked with an apostrophe.

    Example: evo-qnas tables export tables.h5 -o tables.csv
    """
    load_tables(file).to_csv(must_end(output, "this writes CSV", ".csv"), formulas=formulas)
    say(str(output))
