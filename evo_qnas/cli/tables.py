"""`evo-qnas tables`: check, import and export tables."""

import json
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import measure
from evo_qnas.cli.extras import must_be_hdf5
from evo_qnas.errors import TableError
from evo_qnas.tables import Direction, Tables
from evo_qnas.tables.importers import KINDS, detect_kind, import_haq, import_tables
from evo_qnas.terminal import say, say_text

_verbs = typer.Typer(help="Check, import and export tables of scores and costs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the verbs to the command line."""
    measure.register(_verbs)
    app.add_typer(_verbs, name="tables")


def load(path: Path) -> Tables:
    """Tables of an HDF5 or CSV file.

    Raises:
        TableError: the file breaks a rule.
    """
    return Tables.from_csv(path) if path.suffix == ".csv" else Tables.load(path)


@_verbs.command(epilog="Example: evo-qnas tables check tables.h5")
def check(
    file: Annotated[Path, typer.Argument(help="Tables, HDF5 or CSV.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Findings as JSON.")] = False,
) -> None:
    """Names what is odd about FILE; exit code 1 where a finding is an error."""
    tables = load(file)
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


@_verbs.command(name="import", epilog="Example: evo-qnas tables import measured.csv -o tables.h5")
def import_(
    source: Annotated[Path, typer.Argument(help="CSV, or a published table.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Tables to write (HDF5).", show_default=False)],
    kind: Annotated[str | None, typer.Option(help=f"One of {', '.join(KINDS)}; told from the file otherwise.")] = None,
    maximize: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Column of which more is better (CSV).")
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=UNIT", help="Unit of a column as column=unit (CSV).")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Published policies beside a HAQ array (JSON).")] = None,
    drop_nan: Annotated[bool, typer.Option(help="Leave out choices with a NaN.")] = False,
) -> None:
    """Turns SOURCE into tables."""
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


@_verbs.command(epilog="Example: evo-qnas tables join tables.h5 pi4.csv -o with_pi4.h5")
def join(
    file: Annotated[Path, typer.Argument(help="Tables (HDF5).", show_default=False)],
    measured: Annotated[Path, typer.Argument(help="CSV of measurements, for example of measure_blocks.py.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Tables to write (HDF5).", show_default=False)],
) -> None:
    """Joins measurements of other devices into FILE.

    Rows are block,operator,weight_bits,activation_bits,mean,spread,device. Each device becomes a column such as
    latency_ms@pi4; worst:latency_ms is a network's slowest device. Cells metric,unit give energy_mj@pi4 and the like.
    """
    from evo_qnas.tables.measured import join_measured

    tables, names = join_measured(load(file), measured)
    tables.save(must_be_hdf5(output, "tables"))
    say(f"{output}: {', '.join(names)}")


@_verbs.command(epilog="Example: evo-qnas tables export tables.h5 -o tables.csv")
def export(
    file: Annotated[Path, typer.Argument(help="Tables (HDF5).", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="CSV to write.", show_default=False)],
    formulas: Annotated[bool, typer.Option("--formulas", help="Leave names that spreadsheets would run.")] = False,
) -> None:
    """Writes FILE as long CSV, one row per choice; names that begin as formulas are marked with an apostrophe."""
    load(file).to_csv(output, formulas=formulas)
    say(str(output))
