"""What refinement gains at few bits: scores of a block's choices, and networks put together, before any fine-tuning.

    python benchmarks/refinement.py RUN_FOLDER --blocks stages.3 aspp --bits 2 3 4 --steps 50 100

RUN_FOLDER is that of `evo-qnas run CARD --until blocks` or any later stage; nothing in it is changed. Scores are
noise-to-signal ratios on the search images, which no step has seen: as calibrated; after the same steps in floats and
calibration (what more training alone gives); refined. Networks take a random operator and random bits in the blocks
named, the teacher's own at 8 bits elsewhere; their metric is that on the search images, or after `--finetune` epochs.
"""

import argparse
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from evo_qnas.data import Images
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.scoring.local import assemble_quantized
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.distill import block_features
from evo_qnas.networks.training.features import Features
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.networks.training.noise import noise_to_signal
from evo_qnas.networks.training.refine import Refined, Refinement, refine, refine_operator, with_refined
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.features import features_of
from evo_qnas.pipeline.stored import open_run
from evo_qnas.pipeline.validation import finetuning_settings

Found = dict[tuple[str, str, int], Refined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--blocks", nargs="+", required=True)
    parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--steps", type=int, nargs="+", default=[50, 100], help="networks take the last")
    parser.add_argument("--activation-bits", type=int, nargs="+", default=[8, 4], help="of the scores")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--step-learning-rate", type=float, default=1e-2)
    parser.add_argument("--refine-activations", type=int, default=None, help="bits while refining [floats]")
    parser.add_argument("--operators", nargs="+", help="[all]")
    parser.add_argument("--every", type=int, default=1, help="take every so many search images")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--finetune", type=int, default=0, metavar="EPOCHS")
    options = parser.parse_args()
    torch.set_num_threads(1)
    context = open_run(options.folder, trust=True)
    print("| block | operators | bits | calibrated | steps | in floats | refined | better | CPU s |", flush=True)
    print("|---|---|---|---|---|---|---|---|---|")
    refined: Found = {}
    for block in options.blocks:
        refined |= _Block(context, block, options).tell()
    networks(context, refined, options)


class _Block:
    """All that is measured of a block."""

    def __init__(self, context: RunContext, block: str, options: argparse.Namespace) -> None:
        self.context, self.block, self.options = context, block, options
        self.calibration, _ = block_features(context.teacher, block, context.calibration)
        self.inputs, self.targets = block_features(context.teacher, block, some(context.splits.search, options.every))
        self.features: Features = features_of(context, block)

    def tell(self) -> Found:
        """Prints a row per bits and steps; gives the refined weights of the most steps."""
        options, found = self.options, {}
        names = [TEACHER, *self.context.candidates.build(self.block)]
        rows: dict[tuple[int, int, int], list[tuple[float, float, float]]] = {}
        seconds = dict.fromkeys(options.steps, 0.0)
        count = 0
        for name in names if options.operators is None else [n for n in names if n in options.operators]:
            plain = quantize(
                self.context.candidates.trained(self.block, name),
                self.calibration[:2],
                Policy(fixed=Bits(weight=8, activation=8)),
            )
            if not plain.layers:
                continue
            count += 1
            for steps in options.steps:
                settings = self.settings(steps)
                start = time.process_time()
                refined = refine_operator(
                    self.context.candidates.trained(self.block, name),
                    self.features,
                    self.calibration,
                    settings,
                    weight_bits=options.bits,
                    seed=1,
                )
                seconds[steps] += time.process_time() - start
                longer = plain.clone()
                refine({0: longer}, self.features, settings, seed=1)
                for bits in options.bits:
                    ways = [self.scores(way, bits) for way in (plain, longer, with_refined(plain, refined[bits]))]
                    for activation, *values in zip(options.activation_bits, *ways, strict=True):
                        rows.setdefault((bits, activation, steps), []).append((values[0], values[1], values[2]))
                    found[self.block, name, bits] = refined[bits]
        for (bits, activation, steps), all_values in sorted(rows.items()):
            values = np.array(all_values)
            means = [f"{mean:.4f}" for mean in values.mean(axis=0)]
            better = int((values[:, 2] < values[:, 0]).sum())
            cells = [self.block, count, f"w{bits} a{activation}", means[0], steps, *means[1:], f"{better} of {count}"]
            print(f"| {' | '.join(map(str, cells))} | {seconds[steps]:.0f} |", flush=True)
        return found

    def settings(self, steps: int) -> Refinement:
        """For so many steps."""
        return Refinement(
            steps=steps,
            batch_size=self.context.card.distillation.batch_size,
            learning_rate=self.options.learning_rate,
            step_learning_rate=self.options.step_learning_rate,
            activation_bits=self.options.refine_activations,
        )

    @torch.no_grad()
    def scores(self, network: QuantizedNetwork, bits: int) -> list[float]:
        """Of a candidate at these weight bits, for each of the activation bits."""
        network.set_bits(Bits(weight=bits, activation=8))
        network.calibrate_weights(self.calibration.split(evaluation_batch(self.calibration)))
        found = []
        size = evaluation_batch(self.inputs)
        for activation in self.options.activation_bits:
            network.set_bits(Bits(weight=bits, activation=activation))
            network.calibrate_activations()
            parts = [
                noise_to_signal(wanted, network(taken), self.features.variance)
                for taken, wanted in zip(self.inputs.split(size), self.targets.split(size), strict=True)
            ]
            found.append(float(torch.cat(parts).mean()))
        return found


def networks(context: RunContext, refined: Found, options: argparse.Namespace) -> None:
    """Prints the metric of random networks without and with refined weights."""
    search = some(context.splits.search, options.every)
    rng = np.random.default_rng(0)
    metric = context.task.metric_name
    print(f"\nfloat {metric} {context.task.metric(context.teacher, search):.4f}, {len(search)} search images")
    print(f"| network | {metric} calibrated | refined |" + (" both after fine-tuning |" if options.finetune else ""))
    print("|---|---|---|" + ("---|" if options.finetune else ""))
    total = []
    for _ in range(options.networks):
        keys = [_draw(rng, [key for key in refined if key[0] == block]) for block in options.blocks]
        values = []
        for weights in ({}, {key[0]: refined[key] for key in keys}):
            network = build(context, keys, weights)
            values.append(context.task.metric(network, search))
            if options.finetune:
                tune(context, network, options.finetune)
                values.append(context.task.metric(network, search))
        values = values if not options.finetune else [values[0], values[2], values[1], values[3]]
        total.append(values)
        told = " ".join(f"{operator}-w{bits}" for _, operator, bits in keys)
        print(row(told, values), flush=True)
    if total:
        print(row("mean", np.mean(total, axis=0).tolist()))


def row(name: str, values: Sequence[float]) -> str:
    """One line of the table of networks."""
    after = [f"{values[2]:.4f}, {values[3]:.4f}"] if len(values) > 2 else []
    return f"| {' | '.join([name, f'{values[0]:.4f}', f'{values[1]:.4f}', *after])} |"


def build(
    context: RunContext, keys: Sequence[tuple[str, str, int]], weights: Mapping[str, Refined]
) -> QuantizedNetwork:
    """The network of these choices, activations at 8 bits."""
    eight = Bits(weight=8, activation=8)
    modules = {block: context.candidates.trained(block, operator) for block, operator, _ in keys}
    bits = {block: Bits(weight=width, activation=8) for block, _, width in keys}
    return assemble_quantized(context.teacher, modules, bits, eight, context.calibration, refined=weights)


def tune(context: RunContext, network: QuantizedNetwork, epochs: int) -> None:
    """Fine-tunes as the card says, for so many epochs."""
    values = finetuning_settings(context)
    values["settings"] = dataclasses.replace(values["settings"], epochs=epochs)
    finetune(network, context.teacher, context.splits.train, **values, seed=0)


def some(images: Images, every: int) -> Images:
    """Every so many images."""
    pixels, labels = images.pixels[::every], images.labels[::every]
    return Images(pixels=pixels, labels=labels, mean=images.mean, std=images.std)


def _draw(rng: np.random.Generator, keys: Sequence[tuple[str, str, int]]) -> tuple[str, str, int]:
    return keys[int(rng.integers(len(keys)))]


if __name__ == "__main__":
    main()
