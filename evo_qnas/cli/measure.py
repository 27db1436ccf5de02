"""`evo-qnas tables measure`: latencies of blocks and networks, measured here."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import Quiet, RunDir, Trust, Verbose
from evo_qnas.terminal import say

_HELP = """Measures the blocks of a run here and adds latency_ms to its tables.

Blocks are timed in ONNX Runtime, in INT8 with codes in and out, in rounds of random order; whole random networks are
timed beside them, and the column is calibrated on those, so that a network's sum is its latency: "latency_ms <= 4"
means the whole network. A killed measurement goes on where it was.

Example: evo-qnas tables measure results/digits
"""


def register(app: typer.Typer) -> None:
    """Adds the verb to `evo-qnas tables`."""
    app.command("measure", help=_HELP, cls=Verb)(measure)


def measure(
    folder: RunDir,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="tables to write [default: DIR/tables.h5]")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(metavar="N", min=10, help="times everything is measured [default: 200]")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="threads of a run [default: 1]")] = None,
    networks: Annotated[
        int | None, typer.Option(metavar="N", min=4, help="whole networks to calibrate on [default: 48]")
    ] = None,
    held_out: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="more networks to check the calibration on [default: 12]")
    ] = None,
    float32: Annotated[bool, typer.Option("--fp32", help="latency_fp32_ms of the float networks as well")] = False,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="device card: a roofline model of it as latency_model_ms@NAME; repeatable",
            autocompletion=completion.device_cards,
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="processes that write ONNX files [default: all cores]")
    ] = None,
    trust: Trust = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Measures tables."""
    with needs_extra("evo-qnas tables measure", "train,onnx"):
        from evo_qnas.pipeline.cards.latency import LatencyCard
        from evo_qnas.pipeline.jobs import default_jobs
        from evo_qnas.pipeline.latency import check_measurable, measure_tables
        from evo_qnas.pipeline.stored import open_run
    from evo_qnas.archive.locking import sole_writer
    from evo_qnas.errors import CardError
    from evo_qnas.tables import Tables

    context = open_run(folder, trust=trust)
    check_measurable(context, output)
    known = context.card.latency or LatencyCard()
    options = {"rounds": rounds, "threads": threads, "networks": networks, "held_out": held_out}
    settings = known.model_copy(
        update={
            **{key: value for key, value in options.items() if value is not None},
            "float32": float32 or known.float32,
            "devices": [*known.devices, *(name for name in device or [] if name not in known.devices)],
        }
    )
    with sole_writer(context.folder, CardError) as still_there:
        tables = Tables.load(context.folder / "tables.h5")
        made = measure_tables(context, tables, settings, jobs=jobs or default_jobs(), output=output)
        still_there()
    for name in ("latency_ms", "latency_fp32_ms"):
        if name in made.columns:
            column = made.columns[name]
            say(f"{name}: {column.source}")
            say("  " + ", ".join(f"{key} {_short(value)}" for key, value in column.details.items() if _plain(value)))


def _plain(value: object) -> bool:
    return isinstance(value, (int, float))


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
