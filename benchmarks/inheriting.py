"""Block-wise error of candidates with fresh weights, with the teacher's where they fit, and of the teacher narrowed.

    python benchmarks/inheriting.py RUN_FOLDER BLOCK [--steps 200] [--learning-rate 5e-3]

RUN_FOLDER is that of `evo-qnas run camvid --until teacher` or any later stage, BLOCK one of its blocks, as stages.3.
Printed is the noise-to-signal ratio on train batches, mean over the last tenth of steps, float weights.
"""

import argparse
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from evo_qnas.networks.candidates.operators import Operator, build_candidate, load_operators
from evo_qnas.networks.training.distill import distill
from evo_qnas.networks.training.features import cache_features
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import open_run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("block")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    context = open_run(options.folder, trust=True)
    settings = context.card.distillation
    features = cache_features(
        context.teacher, [context.shape(options.block)], context.splits.train, settings.features.values
    )[options.block]
    table = Table("operator", "weights", "fresh", "inherited", box=None)
    found = {}
    for inherited in (False, True):
        candidates = build(context, options.block, inherited=inherited)
        found[inherited] = distill(
            candidates,
            features,
            steps=options.steps,
            batch_size=settings.batch_size,
            learning_rate=options.learning_rate,
            weight_decay=settings.weight_decay,
            seed=0,
        )
    for name, module in candidates.items():
        count = sum(parameter.numel() for parameter in module.parameters())
        table.add_row(name, f"{count:,}", *(f"{found[way][name]:.4f}" for way in (False, True)))
    own = sum(parameter.numel() for parameter in context.teacher.get_submodule(options.block).parameters())
    Console().print(f"{options.block}, {own:,} weights, {options.steps} steps", table)


def operators() -> list[Operator]:
    """Stacks of the teacher's own layers, narrower ones and factorised pyramids."""
    stacks = load_operators("inverted_residual", {"kernel": [3], "expansion": [4], "depth": [1, 2]})
    own = [operator for card in ("pruned", "pruned_residual", "low_rank") for operator in load_operators(card, {})]
    return [*stacks, *own]


def build(context: RunContext, block: str, *, inherited: bool) -> dict[str, nn.Module]:
    """Fresh or inheriting candidates; pruned and factorised ones are the teacher's in both columns."""
    own, shape = context.teacher.get_submodule(block), context.shape(block)
    made = {o.label: build_candidate(o, shape, seed=1, block=own, inherited=inherited) for o in operators()}
    return {label: module for label, module in made.items() if module is not None}


if __name__ == "__main__":
    main()
