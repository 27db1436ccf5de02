"""`evo-qnas export-blocks`: blocks to measure on a device of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import Quiet, RunDir, Trust, Verbose

_HELP = """Writes the blocks of a run as ONNX, to measure on your device.

A script that measures them lies beside them; copy the folder to the device.

Example: evo-qnas export-blocks results/digits -o blocks

There, with python, numpy and onnxruntime: python blocks/measure_blocks.py --device pi4 > pi4.csv

And here again: evo-qnas tables join results/digits/tables.h5 pi4.csv -o results/digits/pi4.h5
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export-blocks", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(export_blocks)


def export_blocks(
    folder: RunDir,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="folder to write")],
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="processes that write ONNX files [default: all cores]")
    ] = None,
    trust: Trust = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Exports blocks."""
    with needs_extra("evo-qnas export-blocks", "train,onnx"):
        from evo_qnas.networks.export import RUNTIMES
        from evo_qnas.pipeline.jobs import default_jobs
        from evo_qnas.pipeline.latency import export_blocks as write
        from evo_qnas.pipeline.stored import open_run
    from evo_qnas.tables import Tables
    from evo_qnas.terminal import say

    RUNTIMES.get("onnx").require("evo-qnas export-blocks")
    context = open_run(folder, trust=trust)
    count = write(context, Tables.load(context.paths.tables), output, jobs=jobs or default_jobs())
    say(f"{output}: {count} files, manifest.csv, measure_blocks.py")
