"""Which blocks of public networks the operator `pruned` narrows, and which of the others `factorised` lowers.

    python benchmarks/narrowing.py results/reference/narrowing [--only NAME ..] [--keep 50] [--check]

For each network of the zoo (see `zoo.py` for the libraries that it needs) the blocks of `blocks = "auto"` are found,
and each is narrowed to `--keep` percent; where nothing inside it can go, its layers are factorised to a third of the
rank. What is made must give the shape of the block, on batches of one and three, and have fewer parameters.
Blocks are run with the weights of their libraries' initialisation; what is asked is whether they can be narrowed, not
what is lost. Writes a row for each network to `narrowing.csv` and the table to `README.md`; a network that is in the
file is not tried again. `--check` ends with 1 where fewer than 5 of 6 networks have at least half of their blocks
narrowed.
"""

import argparse
import csv
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import nn
from zoo_libraries import prepare_libraries

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.finding import auto_blocks
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.candidates.spans import with_blocks

console = Console()
COLUMNS = ("network", "library", "blocks", "narrowed", "factorised", "parameters", "left", "seconds", "others")
# The share of networks of which at least half of the blocks are to be narrowed: 38 of 45.
_ENOUGH = 38 / 45


def main() -> None:
    """Tries each network that has no row yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--keep", type=int, default=50)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    prepare_libraries()
    from zoo_networks import NETWORKS

    options.folder.mkdir(parents=True, exist_ok=True)
    file = options.folder / "narrowing.csv"
    rows = _read(file)
    for name in options.only or NETWORKS:
        if name in rows and not options.only:
            continue
        rows[name] = _tried(NETWORKS[name], options.keep)
        console.print(f"{name}: {rows[name]['narrowed']} of {rows[name]['blocks']} blocks; {rows[name]['others']}")
        _write(file, rows, NETWORKS)
    good = sum(_half(row) for row in rows.values())
    _write_page(options.folder / "README.md", rows, options.keep)
    console.print(f"at least half of the blocks of {good} of {len(rows)} networks")
    if options.check and good < _ENOUGH * len(rows):
        raise SystemExit(1)


def _tried(entry: Any, keep: int) -> dict[str, Any]:
    """A row."""
    from zoo_stages import build

    row: dict[str, Any] = {"network": entry.name, "library": entry.library, "blocks": 0, "narrowed": 0}
    row |= {"factorised": 0, "others": ""}
    started = time.perf_counter()
    (operator,) = load_operators("pruned", {"keep": [keep]})
    (lower,) = load_operators("factorised", {"keep": [33]})
    others, before, after, lowered = [], 0, 0, 0
    try:
        network, examples = build(entry)
        names = auto_blocks(network, examples[:2])
        network = with_blocks(network, names, examples[:2])
        shapes = find_blocks(network, names, examples[:2])
    except (NetworkError, RuntimeError, ValueError) as error:
        return row | {"others": str(error).splitlines()[0][:160], "parameters": 0, "left": 0, "seconds": 0}
    started = time.perf_counter()
    for shape in shapes:
        block = block_of(network, shape.name)
        narrow = build_candidate(operator, shape, seed=0, block=block)
        before += _parameters(block)
        after += _parameters(block if narrow is None else narrow)
        if narrow is None:
            others.append(f"{shape.name} ({type(block).__name__})")
            narrow = build_candidate(lower, shape, seed=0, block=block)
            lowered += narrow is not None
        if narrow is not None:
            _hold(narrow, block, shape)
    seconds = round(time.perf_counter() - started, 1)
    counts = {"blocks": len(shapes), "narrowed": len(shapes) - len(others), "factorised": lowered}
    return row | counts | {"parameters": before, "left": after, "seconds": seconds, "others": ", ".join(others)}


def _hold(narrow: nn.Module, block: nn.Module, shape: BlockShape) -> None:
    """Ends with an error where a narrowed block gives another shape, another batch fails, or nothing has gone."""
    with torch.no_grad():
        for size in (1, 3):
            given = tuple(narrow(torch.zeros(size, *shape.inputs)).shape)
            if given != (size, *shape.outputs):
                raise SystemExit(f"{shape.name}: {given}, not {(size, *shape.outputs)}")
    if _parameters(narrow) >= _parameters(block):
        raise SystemExit(f"{shape.name}: nothing has gone")


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _half(row: Mapping[str, Any], factorised: bool = False) -> bool:
    """True where at least half of the blocks are narrowed, or narrowed or factorised."""
    made = int(row["narrowed"]) + factorised * int(row["factorised"])
    return int(row["blocks"]) > 0 and 2 * made >= int(row["blocks"])


def _read(file: Path) -> dict[str, dict[str, Any]]:
    if not file.exists():
        return {}
    with file.open(newline="", encoding="utf-8") as stream:
        return {row["network"]: dict(row) for row in csv.DictReader(stream)}


def _write(file: Path, rows: Mapping[str, Mapping[str, Any]], order: Sequence[str] | Mapping[str, Any]) -> None:
    lines = [",".join(COLUMNS)]
    found = [rows[name] for name in order if name in rows]
    lines += [",".join(_quoted(row[column]) for column in COLUMNS) for row in found]
    write_text(file, "\n".join(lines) + "\n")


def _quoted(value: Any) -> str:
    text = str(value)
    return '"' + text.replace('"', "'") + '"' if "," in text or '"' in text else text


def _write_page(page: Path, rows: Mapping[str, Mapping[str, Any]], keep: int) -> None:
    good, smaller = (sum(_half(row, also) for row in rows.values()) for also in (False, True))
    lines = [
        "# Blocks of public networks that `pruned` narrows",
        "",
        f"`python benchmarks/narrowing.py results/reference/narrowing --keep {keep}`: at least half of the blocks of",
        f"**{good} of {len(rows)} networks**, and of {smaller} where `factorised` counts too. Blocks are those of",
        '`blocks = "auto"`; parameters are those of all blocks, before and after. Seconds were taken beside',
        "other work. A network that has a row is not tried again: rows are of the commit at which the blocks of their",
        "networks last changed.",
        "",
        "What is not narrowed is mostly a single layer, which has no channels inside it, between others that do not",
        "follow it directly: functions stand between (crepe, open_unmix), or a shortcut. Others: means over channels",
        "(convnextv2, gmlp), shortcuts around every layer (repvgg, mobileone), a second tensor that comes out (tcn).",
        "",
        "| network | library | narrowed | factorised | parameters | left | s | not narrowed |",
        "|---|---|--:|--:|--:|--:|--:|---|",
    ]
    for name, row in rows.items():
        share = f"{100 * int(row['left']) / max(1, int(row['parameters'])):.0f} %"
        counts = f"{row['narrowed']} of {row['blocks']}"
        cells = (
            name,
            row["library"],
            counts,
            row["factorised"],
            row["parameters"],
            share,
            row["seconds"],
            row["others"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    write_text(page, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
