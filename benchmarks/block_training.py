"""Candidate-steps per second of block-wise training against the plain way, in one run.

The plain way trains one candidate after another, runs the whole teacher for each step, reads every loss and leaves all
convolutions to torch. Ours runs the teacher once over the images (that time counts), and all candidates of a block
learn from one batch. Both end with the same score: the noise-to-signal ratio on held-out images, float, whose noise is
told by several seeds.

    python benchmarks/block_training.py       # CamVid of the card where $EVO_QNAS_DATA has it, else random images
    python benchmarks/block_training.py --teacher results/camvid/teacher.safetensors --steps 200 --seeds 3
"""

import argparse
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.data.loading import load_splits
from evo_qnas.networks.batch_norm import estimate_batch_norm
from evo_qnas.networks.blocks import BlockShape, find_blocks, recording
from evo_qnas.networks.devices import channels_last, to_rest, to_training
from evo_qnas.networks.distill import distill
from evo_qnas.networks.features import Features, FeatureSettings, StoredFeatures, cache_features
from evo_qnas.networks.noise import noise_to_signal
from evo_qnas.networks.operators import build_candidate, load_operators
from evo_qnas.networks.teachers import build_teacher, load_teacher
from evo_qnas.networks.training import batches
from evo_qnas.pipeline.card import ProblemCard, load_card

LIMIT = 3.0


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


def make_candidates(shape: BlockShape, labels: list[tuple[int, int, int]], seed: int) -> dict[str, nn.Module]:
    """Fresh inverted residuals by name."""
    made = {}
    for kernel, expansion, depth in labels:
        use = {"kernel": [kernel], "expansion": [expansion], "depth": [depth], "dilation": [shape.dilation]}
        (operator,) = load_operators("inverted_residual", use)
        module = build_candidate(operator, shape, seed=seed)
        if module is not None:
            made[operator.label] = module
    return made


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


def of_block(
    shape: BlockShape, teacher: nn.Module, images: Images, held_out: Images, options: argparse.Namespace
) -> dict[str, list[float]]:
    """Seconds per candidate-step and scores of both ways, per way a list of seconds, then of scores."""
    labels = [(3, 2, 1), (3, 4, 1), (5, 4, 1), (3, 4, 2), (7, 3, 1), (3, 6, 1)][: options.candidates]
    test = cache_features(teacher, [shape], held_out, FeatureSettings())[shape.name]
    found: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        ways = make_candidates(shape, labels, seed), make_candidates(shape, labels, seed)
        plain = 0.0
        for module in ways[0].values():
            plain += timed(
                plain_way, teacher, shape.name, images, module, steps=options.steps, batch_size=options.batch, seed=seed
            )[0]
        caching, features = timed(cache_features, teacher, [shape], images, FeatureSettings())
        assert isinstance(features, dict)
        ours = ours_way(ways[1], features[shape.name], options, seed, options.precision)
        count = options.steps * len(labels)
        found.setdefault("plain s", []).append(plain / count)
        found.setdefault("caching s", []).append(caching / count)
        found.setdefault("learning s", []).append(ours / count)
        for name, modules in zip(("plain score", "our score"), ways, strict=True):
            found.setdefault(name, []).append(float(np.mean([score(m, test) for m in modules.values()])))
    return found


def ours_way(
    modules: dict[str, nn.Module], features: Features, options: argparse.Namespace, seed: int, precision: str
) -> float:
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
    parser.add_argument("--candidates", type=int, default=6)
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
    shapes = tuple(shape for shape in shapes if len(shape.inputs) == 3)
    print(f"{source}, {len(images)} images, {options.steps} steps of {options.batch}, {options.precision}")
    print("| block | plain ms | caching ms | learning ms | ratio | plain score | our score | noise of a seed |")
    print("|---|---|---|---|---|---|---|---|")
    totals = np.zeros(2)
    for shape in shapes:
        row = {name: np.array(values) for name, values in of_block(shape, teacher, images, held_out, options).items()}
        # The smallest of the repeats: other work on the machine only adds time.
        plain, caching, learning = (1e3 * row[name].min() for name in ("plain s", "caching s", "learning s"))
        totals += plain, caching + learning
        noise = row["plain score"].std(ddof=1) if options.seeds > 1 else float("nan")
        print(
            f"| {shape.name} | {plain:.1f} | {caching:.1f} | {learning:.1f} | {plain / (caching + learning):.1f} "
            f"| {row['plain score'].mean():.4f} | {row['our score'].mean():.4f} | {noise:.4f} |",
            flush=True,
        )
    ratio = totals[0] / totals[1]
    plain, ours = 1e3 * len(shapes) / totals
    print(f"candidate-steps per second: plain {plain:.1f}, ours {ours:.1f}, {ratio:.2f} times")
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
