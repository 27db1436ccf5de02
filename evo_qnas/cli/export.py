"""`evo-qnas export`: a validated network as an ONNX file."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from evo_qnas.errors import CardError, NetworkError

_HELP = """Writes a validated network of a run as an ONNX file with integer weights, and checks it in ONNX Runtime:
against torch and an integer reference, by size, kernels and latency. Exit code 1 where a check fails.

Example:

  evo-qnas export results/digits --network 1a2b3c4d -o model.onnx

A segmentation network gives low-resolution logits; --upsample keeps the up-sampling of its last layer.
"""


def register(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command("export", help=_HELP)(export)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="run folder of evo-qnas run")],
    network: Annotated[str, typer.Option("--network", metavar="ID", help="id in summary.json, or teacher_int8")],
    output: Annotated[Path, typer.Option("-o", "--output", help="file to write")],
    upsample: Annotated[bool, typer.Option("--upsample", help="logits of a segmentation network in full size")] = False,
) -> None:
    """Exports a network."""
    try:
        from evo_qnas.networks.export import missing_packages
        from evo_qnas.pipeline.exporting import export_stored, open_run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("evo_qnas"):
            raise
        raise CardError(
            f"evo-qnas export needs {error.name}, which is not installed: pip install 'evo-qnas[train,onnx]'"
        ) from error
    missing = missing_packages()
    if missing:
        raise NetworkError(
            f"evo-qnas export needs {' and '.join(missing)}, not installed here: pip install 'evo-qnas[onnx]'"
        )
    entry = export_stored(folder, network, output, upsample=upsample)
    console = Console(highlight=False)
    _show(console, output, entry, open_run(folder).task.metric_name)
    if entry["failures"]:
        for sentence in entry["failures"]:
            console.print(f"[red]failed:[/red] {sentence}")
        raise typer.Exit(1)


def _show(console: Console, output: Path, entry: dict[str, Any], metric: str) -> None:
    """The table an export ends with."""
    table = Table(box=None, pad_edge=False, show_header=False)
    plain = entry["default_session"]
    reference = {True: "bit for bit", False: "no", None: "the reference lacks an operation"}[entry["reference_equal"]]
    rows = [
        (f"{metric}, ONNX Runtime and torch", f"{entry['metric']:.2%}, {entry['torch_metric']:.2%}"),
        ("argmax agreement with torch", f"{entry['argmax_agreement']:.2%}"),
        ("and with the float network of the training", f"{entry['float_agreement']:.2%}"),
        ("largest difference of logits", f"{entry['max_abs_diff']:.3g}"),
        ("equals the integer reference", reference),
        ("convolutions in integer kernels", f"{entry['integer_convolutions']} of {entry['convolutions']}"),
        ("logits of one image", " x ".join(str(size) for size in entry["logits"])),
        ("packed tensors (size_bytes)", f"{entry['packed_bytes']:,} B"),
        ("constants and graph", f"{entry['constant_bytes']:,} B + {entry['graph_bytes']:,} B"),
        ("file, compressed with gzip", f"{entry['file_bytes']:,} B, {entry['compressed_bytes']:,} B"),
    ]
    if entry["latency_ms"] is not None:
        rows.append(("latency, 1 image, 1 thread", f"{entry['latency_ms']:.4f} +- {entry['latency_spread_ms']:.4f} ms"))
    if plain["argmax_agreement"] < entry["argmax_agreement"]:
        rows.append(
            (
                "without session.x64quantprecision",
                f"agreement {plain['argmax_agreement']:.2%}, {metric} {plain['metric']:.2%} on this processor",
            )
        )
    for name, text in rows:
        table.add_row(name, text)
    console.print(f"{output}")
    console.print(table)
