"""`evo-qnas export`: a validated network as a file of a runtime."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import NETWORKS
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, NetworkId, Quiet, RunDir, Trust, Verbose
from evo_qnas.terminal import hand_on, make_console

_HELP = """Writes a validated network of a run as a file for a runtime.

The file is opened in its runtime and checked there against torch in integers, by size, kernels and latency. Exit code 1
where a check fails.

Examples:

  evo-qnas export results/digits -o best.onnx

  evo-qnas export results/digits --network 1a2b3c4d -o model.onnx

  evo-qnas export results/digits --network teacher_int8 -o teacher.tflite

The ending of the file's name gives the runtime, unless --runtime names it: .onnx is ONNX Runtime (extra onnx), which
agrees with an integer reference bit for bit; .tflite is TFLite (extra tflite), which rounds sums and means in its own
way: the same answers to within some steps of a code, not the same bits. All of them: evo-qnas list runtimes

A segmentation network gives low-resolution logits; --upsample keeps the up-sampling of its last layer.

The file carries class names and preprocessing, where the run knows them: in its metadata (ONNX), or in a JSON file
beside it. With --raw-inputs an ONNX file takes raw pixels and holds the preprocessing itself. The last lines that are
printed run the file.
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export", help=_HELP, cls=Verb, rich_help_panel=NETWORKS)(export)


def export(
    folder: RunDir,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="file to write")],
    network: NetworkId = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime",
            metavar="NAME",
            help="as in evo-qnas list runtimes [default: by the ending of -o]",
            autocompletion=completion.runtimes,
        ),
    ] = None,
    upsample: Annotated[bool, typer.Option("--upsample", help="logits of a segmentation network in full size")] = False,
    raw_inputs: Annotated[bool, typer.Option("--raw-inputs", help="take raw pixels, uint8, channels last")] = False,
    trust: Trust = False,
    as_json: AsJson = False,
    _verbose: Verbose = False,
    _quiet: Quiet = False,
) -> None:
    """Exports a network."""
    from evo_qnas.cli.verdict import best_network

    with needs_extra("evo-qnas export", "train,onnx"):
        from evo_qnas.networks.export import find_runtime, rows_of
        from evo_qnas.networks.tasks.base import metric_value
        from evo_qnas.pipeline.stored import export_stored, open_run
    target = find_runtime(output, runtime)
    target.require("evo-qnas export")
    entry = export_stored(
        folder,
        network or best_network(folder),
        output,
        runtime=runtime,
        upsample=upsample,
        raw_inputs=raw_inputs,
        trust=trust,
    )
    if as_json:
        hand_on(json.dumps(entry, indent=1, ensure_ascii=False, default=str) + "\n")
        raise typer.Exit(1 if entry["failures"] else 0)
    console, context = make_console(), open_run(folder, trust=trust)
    _show(console, output, rows_of(target, entry, metric_value(context.task)))
    for line in target.usage(output, context.facts):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if entry["failures"]:
        for sentence in entry["failures"]:
            console.print(f"failed: {sentence}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1)


def _show(console: Any, output: Path, rows: list[tuple[str, str]]) -> None:
    """The table an export ends with."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in rows:
        table.add_row(escape(name), escape(text))
    console.print(str(output), markup=False)
    console.print(table)
