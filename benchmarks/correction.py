"""Block error of candidates by distillation steps, with and without the least-squares correction before them.

    evo-qnas run digits --until teacher
    python benchmarks/correction.py results/digits [--blocks stages.1 ..] [--steps 0 25 50 100 200] [--seeds 3]

Candidates are those that the card of the run offers, and copies of the teacher's block pruned to 75, 50 and 25 percent.
A table per kind of candidate: the noise-to-signal ratio on held-out images, float weights, as geometric mean over
candidates, blocks and seeds, and CPU seconds of a candidate. Steps 0 are the candidates before they learn.
"""

import argparse
import copy
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.training.correction import correct
from evo_qnas.networks.training.distill import distill
from evo_qnas.networks.training.features import FeatureSettings, StoredFeatures, cache_features
from evo_qnas.networks.training.noise import noise_to_signal
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import open_run

KEEP = {"keep": [75, 50, 25]}


def candidates_of(context: RunContext, block: str, seed: int) -> dict[str, nn.Module]:
    """Candidates by kind and label; those without weights are left out."""
    own, shape = context.teacher.get_submodule(block), context.shape(block)
    offered = list(context.candidates.offers.of(block))
    extra = [
        operator for operator in load_operators("pruned", KEEP) if operator.label not in {o.label for o in offered}
    ]
    made = {}
    for operator in [*offered, *extra]:
        inherited = context.card.distillation.inherit
        module = build_candidate(operator, shape, seed=seed, block=own, inherited=inherited)
        if module is not None and list(module.parameters()):
            kind = "of the teacher's weights" if operator.takes_block else "fresh"
            made[f"{kind}/{operator.label}"] = module
    return made


@torch.no_grad()
def held_out_error(module: nn.Module, features: StoredFeatures) -> float:
    """Noise-to-signal ratio of a candidate in evaluation mode."""
    outputs = torch.cat([module.eval()(part) for part in features.inputs.split(64)])
    return float(noise_to_signal(features.targets, outputs, features.variance, features.channel_axis).mean())


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", nargs="+")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 25, 50, 100, 200])
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    context = open_run(options.folder, trust=True)
    settings = context.card.distillation
    blocks = options.blocks or context.card.blocks.names
    shapes = [context.shape(block) for block in blocks]
    train, held_out = (
        cache_features(context.teacher, shapes, images, FeatureSettings())
        for images in (context.splits.train, context.splits.search)
    )
    errors: dict[tuple[str, bool, int], list[float]] = defaultdict(list)
    seconds: dict[tuple[str, bool, int], list[float]] = defaultdict(list)
    for block in blocks:
        for seed in range(options.seeds):
            for label, module in candidates_of(context, block, seed).items():
                kind = label.split("/")[0]
                for corrected in (False, True):
                    start = time.process_time()
                    ready = copy.deepcopy(module)
                    if corrected:
                        correct(ready, context.teacher.get_submodule(block), train[block])
                    preparing = time.process_time() - start
                    for steps in options.steps:
                        learner, start = copy.deepcopy(ready), time.process_time()
                        if steps:
                            distill(
                                {label: learner},
                                train[block],
                                steps=steps,
                                batch_size=settings.batch_size,
                                learning_rate=settings.learning_rate,
                                weight_decay=settings.weight_decay,
                                precision=settings.precision,
                                seed=seed,
                            )
                        seconds[kind, corrected, steps].append(preparing + time.process_time() - start)
                        errors[kind, corrected, steps].append(held_out_error(learner, held_out[block]))
    for kind in sorted({key[0] for key in errors}):
        print(f"\n{kind}, {len(errors[kind, False, options.steps[0]])} candidates of {len(blocks)} blocks\n")
        print("| steps | error | corrected first | seconds | corrected first | lower in |\n|---|---|---|---|---|---|")
        for steps in options.steps:
            both = [np.array(errors[kind, corrected, steps]) for corrected in (False, True)]
            means = [f"{np.exp(np.log(found).mean()):.4f}" for found in both]
            took = [f"{np.mean(seconds[kind, corrected, steps]):.2f}" for corrected in (False, True)]
            print(f"| {steps} | {' | '.join(means)} | {' | '.join(took)} | {np.mean(both[1] < both[0]):.0%} |")


if __name__ == "__main__":
    main()
