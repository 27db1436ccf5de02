"""`evo-qnas export-blocks`: blocks to measure on a device of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cli.extras import needs_extra

_HELP = """Writes every choice's block of a run as ONNX, with a script that measures them on the device it is copied to.

Example: evo-qnas export-blocks results/digits -o blocks

There, with python, numpy and onnxruntime: python blocks/measure_blocks.py --device pi4 > pi4.csv

And here again: evo-qnas tables join results/digits/tables.h5 pi4.csv -o results/digits/pi4.h5
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export-blocks", help=_HELP)(export_blocks)


def export_blocks(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="run folder with trained blocks and tables.h5")],
    output: Annotated[Path, typer.Option("-o", "--output", help="folder to write")],
    jobs: Annotated[int | None, typer.Option(min=1, help="processes that write ONNX files [all cores]")] = None,
    trust: Annotated[bool, typer.Option("--trust", help="run the Python code that the folder's card names")] = False,
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
