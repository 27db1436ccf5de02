"""The networks of a run in every runtime that is installed: bytes, agreement, integer kernels, latency, memory.

    python -m benchmarks.runtimes results/digits -o results/reference/runtimes --name digits
    python -m benchmarks.runtimes results/camvid -o results/reference/runtimes --name camvid --images 4

Writes NAME.csv with a row for each network and runtime, and NAME.md, a table of the same. Metric and agreement are of
the first images of the test split, against torch in integers. Latency is one image on one thread, measured in the
runtime, or a compiler's estimate; networks are not interleaved, so that differences of a few percent say nothing.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evo_qnas.data import Images
from evo_qnas.errors import EvoQnasError
from evo_qnas.networks.export import RUNTIMES, Runtime, export
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import find_network, open_run, restore_network

COLUMNS = (
    *("network", "runtime", "packed_bytes", "file_bytes", "compressed_bytes", "metric", "torch_metric", "agreement"),
    *("convolutions", "integer_convolutions", "latency_ms", "latency_spread_ms", "cycles", "sram_bytes"),
    *("npu_operators", "cpu_operators", "arena_bytes", "foretold_arena_bytes", "peak_memory_bytes", "litert_steps"),
    "failures",
)


def row_of(context: RunContext, identity: str, runtime: Runtime, *, images: int, folder: Path) -> dict[str, Any]:
    """A network in a runtime; its reason where it cannot be exported."""
    head = {"network": identity, "runtime": runtime.name}
    test = context.splits.test
    if images:
        pixels, labels = test.take(slice(0, images))
        test = Images(pixels=pixels, labels=labels)
    try:
        network = restore_network(context, find_network(context, identity))
        path = folder / f"{identity}-{runtime.name}{runtime.suffix}"
        entry = export(network, path, runtime, images=test, task=context.task)
    except EvoQnasError as error:
        return {**head, "failures": str(error)}
    known = {name: entry.get(name) for name in COLUMNS[2:]}
    known |= {"failures": "; ".join(entry["failures"]), "cpu_operators": len(entry.get("cpu_operators", ()))}
    return {**head, **known}


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| network | runtime | file, bytes | packed, bytes | metric, torch | agreement | integer convolutions | ms | "
        "memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.get("file_bytes") is None:
            lines.append(f"| {row['network']} | {row['runtime']} | | | | | | | {row['failures']} |")
            continue
        memory = ""
        if row["arena_bytes"] is not None:
            memory = f"arena {row['arena_bytes']:,}, foretold {row['foretold_arena_bytes']:,}"
        elif row["sram_bytes"] is not None:
            memory = f"on chip {row['sram_bytes']:,}; {row['cpu_operators']} operators on the processor"
        kernels = f"{row['integer_convolutions']} of {row['convolutions']}"
        time = f"{row['latency_ms']:.4f} +- {row['latency_spread_ms']:.4f}"
        scores = f"{row['metric']:.4f}, {row['torch_metric']:.4f}"
        lines.append(
            f"| {row['network']} | {row['runtime']} | {row['file_bytes']:,} | {row['packed_bytes']:,} | {scores} | "
            f"{row['agreement']:.4f} | {kernels} | {time} | {memory} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--images", type=int, default=0, help="of the test split; 0 for all")
    parser.add_argument("--networks", nargs="*", default=[], help="ids; all validated ones where none is named")
    parser.add_argument("--runtimes", nargs="*", default=[], help="all that are installed where none is named")
    given = parser.parse_args()
    context = open_run(given.run)
    names = given.networks or sorted(path.parent.name for path in context.paths.networks.glob("*/network.json"))
    runtimes = [RUNTIMES.get(name) for name in given.runtimes or RUNTIMES.names()]
    files = context.folder / "runtimes"
    files.mkdir(exist_ok=True)
    given.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for identity in names:
        for runtime in (each for each in runtimes if not each.missing()):
            rows.append(row_of(context, identity, runtime, images=given.images, folder=files))
            print(rows[-1], flush=True)
            with (given.output / f"{given.name}.csv").open("w", encoding="utf-8", newline="") as handle:
                writer = csv.DictWriter(handle, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            (given.output / f"{given.name}.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
