"""`evo-qnas export`: a validated network as an ONNX or TFLite file."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from evo_qnas.errors import CardError

_HELP = """Writes a validated network of a run as an ONNX file with integer weights, and checks it in ONNX Runtime:
against torch and an integer reference, by size, kernels and latency. Exit code 1 where a check fails.

Example:

  evo-qnas export results/digits --network 1a2b3c4d -o model.onnx

A name that ends in .tflite gives a TFLite file (extra tflite), checked against torch in its runtime, which rounds sums
and means in its own way: the same answers to within some steps of a code, not the same bits.

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
        from evo_qnas.networks.export import require_packages, tflite
        from evo_qnas.pipeline.stored import export_stored, is_tflite, open_run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("evo_qnas"):
            raise
        raise CardError(
            f"evo-qnas export needs {error.name}, which is not installed: pip install 'evo-qnas[train,onnx]'"
        ) from error
    require = tflite.require_packages if is_tflite(output) else require_packages
    require("evo-qnas export")
    entry = export_stored(folder, network, output, upsample=upsample)
    console = Console(highlight=False)
    rows = _tflite_rows if is_tflite(output) else _onnx_rows
    _show(console, output, rows(entry, open_run(folder).task.metric_name))
    if entry["failures"]:
        for sentence in entry["failures"]:
            console.print(f"[red]failed:[/red] {sentence}")
        raise typer.Exit(1)


def _show(console: Console, output: Path, rows: list[tuple[str, str]]) -> None:
    """The table an export ends with."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, text in rows:
        table.add_row(name, text)
    console.print(f"{output}")
    console.print(table)


def _onnx_rows(entry: dict[str, Any], metric: str) -> list[tuple[str, str]]:
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
        *_of_file(entry),
    ]
    if plain["argmax_agreement"] < entry["argmax_agreement"]:
        rows.append(
            (
                "without session.x64quantprecision",
                f"agreement {plain['argmax_agreement']:.2%}, {metric} {plain['metric']:.2%} on this processor",
            )
        )
    return rows


def _tflite_rows(entry: dict[str, Any], metric: str) -> list[tuple[str, str]]:
    plain = entry["plain_kernels"]
    return [
        (f"{metric}, TFLite and torch", f"{entry['metric']:.2%}, {entry['torch_metric']:.2%}"),
        ("argmax agreement with torch", f"{entry['argmax_agreement']:.2%}"),
        ("largest difference of logits", f"{entry['max_abs_diff']:.3g}"),
        ("without XNNPACK", f"agreement {plain['argmax_agreement']:.2%}, {metric} {plain['metric']:.2%}"),
        ("convolutions of integers", f"{entry['integer_convolutions']} of {entry['convolutions']}"),
        ("packed tensors (size_bytes)", f"{entry['packed_bytes']:,} B"),
        *_of_file(entry),
    ]


def _of_file(entry: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("file, compressed with gzip", f"{entry['file_bytes']:,} B, {entry['compressed_bytes']:,} B")]
    if entry["latency_ms"] is not None:
        rows.append(("latency, 1 image, 1 thread", f"{entry['latency_ms']:.4f} +- {entry['latency_spread_ms']:.4f} ms"))
    return rows
