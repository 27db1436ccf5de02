"""Candidate-steps per second of block-wise training against the plain way, in one run.

The candidates are those that the card offers for each block. The plain way trains one candidate after another, runs the
whole teacher for each step, reads every loss and leaves convolutions to torch and memory to the system. Ours runs the
teacher once over the images (that time counts), and all candidates of a block learn from one batch. Both end with the
same score: the noise-to-signal ratio on held-out images, float, whose noise is told by several seeds. As many images
as by default are as many epochs as in the card's own run.

    python benchmarks/block_training.py       # CamVid of the card where $EVO_QNAS_DATA has it, else random images
    python benchmarks/block_training.py --teacher results/camvid/teacher.safetensors --steps 200 --seeds 3
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.data.batches import batches
from evo_qnas.data.loading import load_splits
from evo_qnas.networks.acceleration.devices import channels_last, prepare_process, to_rest, to_training
from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks, recording
from evo_qnas.networks.candidates.operators import build_candidate, load_operators
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.training.distill import distill
from evo_qnas.networks.training.features import Features, FeatureSettings, StoredFeatures, cache_features
from evo_qnas.networks.training.noise import noise_to_signal
from evo_qnas.pipeline.cards.problem import ProblemCard, load_card

LIMIT = 3.0
Modules = dict[str, nn.Module]


def images_of(card: ProblemCard, count: int) -> tuple[str, Images, Images]:
    """Where the images come from, those to train on and those to score on."""
    folder = os.environ.get("EVO_QNAS_DATA")
    if folder and (Path(folder) / "camvid").is_dir():
        splits = load_splits(card.data.model_copy(update={"folder": Path(folder) / "camvid"}))
        train, search = splits.train, splits.search
        keep = slice(0, count)
        few = Images(pixels=train.pixels[keep], labels=train.labels[keep], mean=train.mean, std=train.std)
        other = Images(pixels=search.pixels[:32], labels=search.labels[:32], mean=search.mean, std=search.std)
        return "CamVid", few, other
    rng = torch.Generator().manual_seed(0)
    made = [torch.randn(n, 3, 180, 240, generator=rng) for n in (count, 32)]
    labels = [torch.zeros(len(pixels), dtype=torch.int64) for pixels in made]
    few, other = (Images(pixels=p, labels=y) for p, y in zip(made, labels, strict=True))
    return "random images", few, other


def make_candidates(card: ProblemCard, shape: BlockShape, teacher: nn.Module, most: int, seed: int) -> Modules:
    """What the card offers for a block and learns, by name; at most `most`, spread evenly."""
    made: Modules = {}
    for use in card.operators:
        if use.blocks and shape.name not in use.blocks:
            continue
        for operator in load_operators(use.card, use.parameters):
            block = teacher.get_submodule(shape.name)
            module = build_candidate(operator, shape, seed=seed, block=block, inherited=card.distillation.inherit)
            if module is not None and list(module.parameters()):
                made[operator.label] = module
    names = list(made)
    chosen = np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int)) if names else []
    return {names[index]: made[names[index]] for index in chosen}


def plain_way(
    teacher: nn.Module, block: str, images: Images, module: nn.Module, *, steps: int, batch_size: int, seed: int
) -> None:
    """Trains one candidate as one would write it down first."""
    to_training(module, "cpu").train()
    to_training(teacher, "cpu").eval()
    optimizer = torch.optim.AdamW(module.parameters(), lr=5e-3, weight_decay=1e-4, foreach=False)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=5e-3, total_steps=steps)
    losses = []
    variance = None
    for chosen in batches(len(images), batch_size, steps, torch.Generator().manual_seed(seed)):
        pixels = channels_last(images.take(chosen)[0])
        with torch.no_grad(), recording(teacher, [block]) as seen:
            teacher(pixels)
            taken, wanted = (part.clone() for part in seen[block])
        if variance is None:
            variance = wanted.var(dim=(0, 2, 3))
        loss = noise_to_signal(wanted, module(taken), variance).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    to_rest(module)
    to_rest(teacher)


@torch.no_grad()
def score(module: nn.Module, held_out: StoredFeatures) -> float:
    """Noise-to-signal ratio on held-out images."""
    return float(noise_to_signal(held_out.targets, module.eval()(held_out.inputs), held_out.variance).mean())


def timed(function: object, *arguments: object, **options: object) -> tuple[float, object]:
    """Processor seconds of a call, and what it gives."""
    start = time.process_time()
    result = function(*arguments, **options)  # type: ignore[operator]
    return time.process_time() - start, result


def plainly(modules: Modules, options: argparse.Namespace, **settings: Any) -> float:
    """Processor seconds of the plain way for all candidates of a block."""
    settings |= {"steps": options.steps, "batch_size": options.batch}
    return sum(timed(plain_way, module=module, **settings)[0] for module in modules.values())


def ours_way(modules: Modules, features: Features, options: argparse.Namespace, seed: int, precision: str) -> float:
    """Processor seconds of `distill`."""
    return timed(
        distill,
        modules,
        features,
        steps=options.steps,
        batch_size=options.batch,
        learning_rate=5e-3,
        weight_decay=1e-4,
        seed=seed,
        precision=precision,
    )[0]


def main() -> int:
    """Prints a table; 1 where the mean ratio is below the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="camvid")
    parser.add_argument("--teacher", type=Path, help="trained weights; fresh ones with estimated BatchNorm without it")
    parser.add_argument("--blocks", nargs="*", help="of the card; all without it")
    parser.add_argument("--images", type=int, default=72)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=99, help="of each block at most")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    _, card = load_card(options.card)
    source, images, held_out = images_of(card, options.images)
    torch.manual_seed(0)
    teacher = build_teacher(card.teacher.architecture, card.teacher.parameters)
    if options.teacher:
        load_teacher(teacher, options.teacher)
    else:
        estimate_batch_norm(teacher, [images.take(slice(0, 16))[0]])
    shapes = find_blocks(teacher, options.blocks or card.blocks.names, images.take(slice(0, 2))[0])
    ways: list[dict[tuple[str, int], Modules]] = [
        {
            (shape.name, seed): found
            for shape in shapes
            for seed in range(options.seeds)
            if (found := make_candidates(card, shape, teacher, options.candidates, seed))
        }
        for _ in range(2)
    ]
    print(f"{source}, {len(images)} images, {options.steps} steps of {options.batch}, {options.precision}")
    print("| block | candidates | plain ms | caching ms | learning ms | ratio | plain score | our score | noise |")
    print("|---|---|---|---|---|---|---|---|---|")
    plain = {
        (block, seed): plainly(modules, options, teacher=teacher, block=block, images=images, seed=seed)
        for (block, seed), modules in ways[0].items()
    }
    # From here on this process keeps its memory, as those of a run do.
    prepare_process(options.threads)
    totals, steps = np.zeros(3), 0
    for shape in (shape for shape in shapes if (shape.name, 0) in ways[0]):
        times, scores = [], []
        test = cache_features(teacher, [shape], held_out, FeatureSettings())[shape.name]
        for seed in range(options.seeds):
            caching, features = timed(cache_features, teacher, [shape], images, FeatureSettings())
            assert isinstance(features, dict)
            learning = ours_way(ways[1][shape.name, seed], features[shape.name], options, seed, options.precision)
            times.append((plain[shape.name, seed], caching, learning))
            scores.append([np.mean([score(m, test) for m in way[shape.name, seed].values()]) for way in ways])
        # The smallest of the repeats: other work on the machine only adds time.
        least, count = np.min(times, axis=0), len(ways[0][shape.name, 0])
        totals, steps = totals + least, steps + options.steps * count
        each, (theirs, ours) = 1e3 * least / (options.steps * count), np.mean(scores, axis=0)
        noise = np.std(scores, axis=0, ddof=1)[0] if options.seeds > 1 else float("nan")
        row = f"{each[0]:.1f} | {each[1]:.1f} | {each[2]:.1f} | {each[0] / each[1:].sum():.1f}"
        print(f"| {shape.name} | {count} | {row} | {theirs:.4f} | {ours:.4f} | {noise:.4f} |", flush=True)
    ratio = totals[0] / totals[1:].sum()
    print(
        f"candidate-steps per second: plain {steps / totals[0]:.1f}, ours {steps / totals[1:].sum():.1f}, "
        f"{ratio:.2f} times (without caching {totals[0] / totals[2]:.2f})"
    )
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
