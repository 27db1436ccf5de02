"""What becomes of the BatchNorms of a teacher with borrowed weights where blocks of it are replaced.

    python benchmarks/borrowed_batch_norm.py RUN_FOLDER --networks 7

The run folder is one of a card with `teacher.weights`, after its stage `tables`. Networks drawn from its candidates at
the widest bits are assembled in four ways: with the teacher's own statistics, with all of them estimated anew, with
those behind the first replaced block, and by the rule of such runs (`estimate_where_it_helps`). Each is quantized and
calibrated on the card's train images, and measured on the search images; the error is the squared distance of the float
outputs from the teacher's over other train images, as a share of that with the teacher's own statistics.
"""

import argparse
import random
import sys
from itertools import product
from pathlib import Path

import torch
from torch import nn

from evo_qnas.data.nests import Nest, parts
from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm, estimate_where_it_helps, output_error
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.quantization.quantize import Policy, quantize
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import open_run
from evo_qnas.pipeline.validation.building import bits_of, choices_of, modules_of
from evo_qnas.tables import Tables

HELD_OUT = 32


def genomes_of(tables: Tables, families: list[str], count: int) -> list[tuple[int, ...]]:
    """Networks whose operators begin with one of the names, at the widest bits, drawn with a fixed seed."""
    options = []
    for block in tables.blocks:
        widest = max((weight, activation) for _, weight, activation in block.labels)
        names = [TEACHER, *families]
        options.append(
            [
                i
                for i, (name, *bits) in enumerate(block.labels)
                if tuple(bits) == widest and name.startswith(tuple(names))
            ]
        )
    replaced = [
        genome
        for genome in product(*options)
        if any(block.labels[value][0] != TEACHER for block, value in zip(tables.blocks, genome, strict=True))
    ]
    random.Random(0).shuffle(replaced)
    return replaced[:count]


def prepared(way: str, network: nn.Module, context: RunContext, batches: tuple[Nest, ...], replaced: list[str]) -> None:
    """Estimates the statistics of the assembled network."""
    if way == "all":
        estimate_batch_norm(network, batches)
    elif way == "behind":
        estimate_batch_norm(network, batches, behind=replaced)
    elif way == "rule":
        estimate_where_it_helps(network, context.teacher, batches, replaced=replaced)


@torch.no_grad()
def main() -> int:
    """Prints a line for each network and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=int, default=7)
    parser.add_argument(
        "--operators", nargs="+", default=["pruned", "low_rank"], help="names that operators begin with"
    )
    options = parser.parse_args()
    context = open_run(options.folder, trust=True)
    tables = Tables.load(context.paths.tables)
    train = context.splits.train
    batches = parts(context.calibration, evaluation_batch(context.calibration))
    held_out = train.take(torch.linspace(3, len(train) - 5, HELD_OUT).round().long())[0]
    print(f"{len(context.calibration)} calibration images; metric on the search images, %; error as a share of `own`")
    for genome in genomes_of(tables, options.operators, options.networks):
        choices = choices_of(tables, genome)
        replaced = [row.block for row in choices if row.operator != TEACHER]
        print(", ".join(row.operator for row in choices))
        first = None
        for way in ("own", "all", "behind", "rule"):
            network = assemble(context.teacher, modules_of(context, choices))
            prepared(way, network, context, batches, replaced)
            error = output_error(network, context.teacher, parts(held_out, evaluation_batch(held_out)))
            first = error if first is None else first
            quantized = quantize(
                network,
                context.example,
                Policy(fixed=context.fixed_bits, blocks=bits_of(choices), scheme=context.card.quantization.scheme),
            )
            quantized.calibrate(batches)
            metric = context.task.metric(quantized, context.splits.search)
            print(f"  {way:7} metric {100 * metric:.2f}  error {error / first:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
