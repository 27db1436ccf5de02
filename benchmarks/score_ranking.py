"""How well ways of weighing a block's error rank networks, as Kendall's tau with the metric, on a run folder.

The errors of all choices are measured anew and weighed in several ways, see `WEIGHINGS`; networks drawn at random and
networks drawn from the better choices are assembled and measured on the search images, as assembled and, some of them,
after fine-tuning. `joint` is no sum over blocks: it adds the projections of the blocks' errors before they are squared,
so that errors may cancel each other. All is kept in the folder `score_ranking` of the run; a command that was stopped
goes on.

    evo-qnas run digits --until blocks -o results/ranks
    python benchmarks/score_ranking.py results/ranks --networks 60 --after 24

`--until tables --set 'in_context.measure="kl"'` instead of `--until blocks` adds `score_in_context` to the comparison.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evo_qnas.data.nests import call, parts, rows
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.blocks import recording
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.scoring.calibrated import calibrated
from evo_qnas.networks.scoring.fisher import output_gradients
from evo_qnas.networks.scoring.in_context import teacher_outputs
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.distill import block_features
from evo_qnas.networks.training.noise import channel_variance, noise_to_signal
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stored import open_run
from evo_qnas.pipeline.validation import build_network, choices_of, validate_picks
from evo_qnas.predict import Features, assess
from evo_qnas.predict.rank import kendall, resampled_taus
from evo_qnas.problem import space_of
from evo_qnas.spaces import Space, network_id
from evo_qnas.tables import Block, Tables

KEPT = "score_ranking"
WEIGHINGS: Mapping[str, str] = {
    "score": "noise-to-signal ratio, nothing weighed",
    "fisher": "square of the error's projection on each gradient: score_fisher",
    "diagonal": "squared error by squared gradient, value by value",
    "channels": "squared error by the mean squared gradient of its channel over all examples",
    "channel projections": "square of the projection within each channel",
    "labels": "square of the error's projection on the gradient of the task's loss",
}


def networks_of(
    context: RunContext, block: str, operator: str, calibration: torch.Tensor
) -> Iterator[tuple[Any, nn.Module]]:
    """Label and module of each choice of an operator, quantized and calibrated."""
    module, card = context.candidates.trained(block, operator), context.card.quantization
    policy = Policy(fixed=Bits(weight=8, activation=8), image_bits=8, scheme=card.scheme, recipe=card.recipe)
    plain = quantize(module, calibration[:2], policy)
    if not plain.layers and not plain.float_parts and not plain.products:
        yield (operator, 0, 0), module
        return
    for weight, activation, network in calibrated(plain, card.weight_bits, card.activation_bits, calibration, None):
        yield (operator, weight, activation), network


def gradients_of(context: RunContext, draws: int, examples: int) -> None:
    """Files of each block's gradients, those of the task's loss last; nothing where they are there."""
    folder, names, search = context.folder / KEPT, [shape.name for shape in context.shapes], context.splits.search
    if all((folder / f"{name}-{draws}.pt").is_file() for name in names):
        return
    drawn = output_gradients(context.teacher, names, search, context.task, draws=draws, seed=0, most=examples)
    slopes: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for start in range(0, examples, 16):
        inputs, targets = search.take(slice(start, min(start + 16, examples)))
        with torch.enable_grad(), recording(context.teacher, names) as recorded:
            outputs = call(context.teacher, inputs)
            each = (slice(row, row + 1) for row in range(len(inputs)))
            loss = sum(context.task.loss(rows(outputs, one), rows(targets, one)) for one in each)
            ends = [recorded[name][1] for name in names]
            for name, slope in zip(names, torch.autograd.grad(loss, ends), strict=True):
                slopes[name].append(slope)
    folder.mkdir(exist_ok=True)
    for name in names:
        both = torch.cat([drawn[name], torch.cat(slopes[name])[:, None]], dim=1)
        torch.save(both, folder / f"{name}-{draws}.pt")
    print("gradients are there", flush=True)


def weighed(
    error: torch.Tensor, gradients: torch.Tensor, mean_square: torch.Tensor, axis: int
) -> dict[str, torch.Tensor]:
    """Per example each weighing of an error, and its projections on the gradients."""
    error = error.movedim(axis, 1).reshape(len(error), error.shape[axis], -1)
    of_loss = (gradients[:, -1].movedim(axis, 1).flatten(2).reshape(error.shape) * error).sum(dim=(1, 2))
    gradients = gradients[:, :-1]
    slopes = gradients.movedim(axis + 1, 2).reshape(*gradients.shape[:2], *error.shape[1:])
    projections = (slopes * error[:, None]).sum(dim=3)
    return {
        "fisher": projections.sum(dim=2).square().mean(dim=1) / 2,
        "diagonal": (slopes.square().mean(dim=1) * error.square()).sum(dim=(1, 2)) / 2,
        "channels": (error.square().sum(dim=2) * mean_square).sum(dim=1) / 2,
        "labels": of_loss.square() / 2,
        "channel projections": projections.square().sum(dim=2).mean(dim=1) / 2,
        "projections": projections.sum(dim=2),
    }


@torch.no_grad()
def errors_of(context: RunContext, block: str, draws: int, examples: int) -> dict[str, np.ndarray]:
    """Labels of a block's choices, the mean of each weighing, and the projections; kept in a file."""
    path = context.folder / KEPT / f"{block}-{draws}.npz"
    if path.is_file():
        return dict(np.load(path, allow_pickle=False))
    axis = context.shape(block).channel_axis
    calibration, _ = block_features(context.teacher, block, context.calibration)
    inputs, targets = block_features(context.teacher, block, context.splits.search.take(slice(0, examples))[0])
    variance = channel_variance(targets, axis)
    gradients = torch.load(context.folder / KEPT / f"{block}-{draws}.pt")
    squares = gradients[:, :-1].square().mean(dim=(0, 1)).movedim(axis - 1, 0)
    mean_square = squares.reshape(len(squares), -1).mean(dim=1)
    size = min(64, evaluation_batch(inputs))
    labels, values_of, projections = [], [], []
    operators = [TEACHER, *context.candidates.labels(block)]
    for label, network in chain(*(networks_of(context, block, each, calibration) for each in operators)):
        found: dict[str, list[torch.Tensor]] = {}
        for start in range(0, len(inputs), size):
            here = slice(start, start + size)
            output = network(inputs[here])
            parts_of = weighed(output - targets[here], gradients[here], mean_square, axis)
            parts_of["score"] = noise_to_signal(targets[here], output, variance, axis)
            for name, values in parts_of.items():
                found.setdefault(name, []).append(values)
        joined = {name: torch.cat(values).double() for name, values in found.items()}
        labels.append(" ".join(map(str, label)))
        values_of.append([float(joined[name].mean()) for name in WEIGHINGS])
        projections.append(joined["projections"].float().numpy())
    print(f"{block}: {len(labels)} choices", flush=True)
    path.parent.mkdir(exist_ok=True)
    content = {"labels": np.array(labels), "rows": np.array(values_of), "projections": np.stack(projections)}
    np.savez(path, **content)
    return content


def tables_of(found: Mapping[str, Mapping[str, np.ndarray]]) -> Tables:
    """Tables of the choices with every weighing as a column."""
    blocks = []
    for name, content in found.items():
        labels = [text.rsplit(" ", 2) for text in content["labels"].tolist()]
        weights, activations = (np.array([int(label[at]) for label in labels]) for at in (1, 2))
        blocks.append(
            Block(
                name=name, operators=tuple(one[0] for one in labels), weight_bits=weights, activation_bits=activations
            )
        )
    columns = {name: [content["rows"][:, index] for content in found.values()] for index, name in enumerate(WEIGHINGS)}
    return Tables.from_arrays(columns, blocks=blocks)


@torch.no_grad()
def measured(context: RunContext, tables: Tables, genomes: np.ndarray) -> np.ndarray:
    """(n, 2) metric and distance from the teacher's outputs of networks as assembled, on the search images."""
    path = context.folder / KEPT / "networks.json"
    known: dict[str, list[float]] = json.loads(path.read_text()) if path.is_file() else {}
    images, outputs = context.splits.search, None
    for genome in genomes.tolist():
        choices = choices_of(tables, genome)
        name = json.dumps([choice.to_dict() for choice in choices])
        if name not in known:
            outputs = teacher_outputs(context.teacher, images) if outputs is None else outputs
            network, apart = build_network(context, choices), []
            size = evaluation_batch(images.sample)
            for (inputs, _), target in zip(images.parts(size), parts(outputs, size), strict=True):
                distance = context.task.match(call(network, inputs), target)
                apart.append(distance.flatten(1).mean(dim=1) if distance.ndim > 1 else distance)
            known[name] = [context.task.metric(network, images), float(torch.cat(apart).mean())]
            write_text(path, json.dumps(known))
    return np.array([known[json.dumps([one.to_dict() for one in choices_of(tables, row)])] for row in genomes.tolist()])


def drawn(tables: Tables, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Networks of choices at random, and of choices each the likelier the better its score: exp(-3 rank)."""
    rng = np.random.default_rng(seed)
    random = np.unique(Space.from_counts(tables.choices.tolist()).sample(rng, count), axis=0)
    chances = [np.exp(-3 * np.argsort(np.argsort(values)) / len(values)) for values in tables.column("score").values]
    better = np.stack([rng.choice(len(chance), count, p=chance / chance.sum()) for chance in chances], axis=1)
    return random, np.unique(better, axis=0)


Totals = Mapping[str, Callable[[np.ndarray], np.ndarray]]


def totals_of(tables: Tables, found: Mapping[str, Mapping[str, np.ndarray]]) -> Totals:
    """Every way to rank networks, less is better."""

    def summed(
        name: str, turned: Callable[[np.ndarray], np.ndarray] = np.asarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        values = [turned(part) for part in tables.column(name).values]
        return lambda genomes: sum((part[genomes[:, at]] for at, part in enumerate(values)), np.zeros(len(genomes)))

    def joint(genomes: np.ndarray) -> np.ndarray:
        total: Any = sum(content["projections"][genomes[:, at]] for at, content in enumerate(found.values()))
        return np.asarray(np.square(total).mean(axis=(1, 2)) / 2)

    totals = {name: summed(name) for name in tables.columns}
    totals["joint"] = joint
    for name in ("score", "fisher", "diagonal"):
        totals[f"roots of {name}"] = summed(name, np.sqrt)
    score, fisher, diagonal = totals["score"], totals["fisher"], totals["diagonal"]
    totals["score times fisher"] = lambda genomes: score(genomes) * fisher(genomes)
    totals["score times diagonal"] = lambda genomes: score(genomes) * diagonal(genomes)
    return totals


def show(totals: Totals, genomes: np.ndarray, metric: np.ndarray, what: str) -> None:
    """Prints tau of every way, over all and over the half with the better scores, and its lead over the score's.

    The lead's interval is the 2.5 % .. 97.5 % percentile of its bootstrap over networks, the same ones for both.
    """
    print(f"\n{what}: {len(genomes)} networks, {metric.min():.4f} .. {metric.max():.4f}")
    better = np.argsort(totals["score"](genomes), kind="stable")[: len(genomes) // 2]
    ranks = np.stack([-total(genomes) for total in totals.values()])
    texts: list[list[str]] = [[] for _ in totals]
    for chosen in (np.arange(len(genomes)), better):
        resampled = resampled_taus(ranks[:, chosen], metric[chosen], rng=np.random.default_rng(0))
        leads = np.nanquantile(resampled - resampled[0], [0.025, 0.975], axis=1)
        for text, rank, (low, high) in zip(texts, ranks, leads.T, strict=True):
            tau = kendall(rank[chosen], metric[chosen], rng=np.random.default_rng(0))
            text.append(f"{tau.tau:5.2f} ({tau.low:5.2f} .. {tau.high:4.2f}), lead {low:5.2f} .. {high:4.2f}")
    for name, (whole, half) in zip(totals, texts, strict=True):
        print(f"  {name:20} {whole}   better half {half}")


def show_fitted(tables: Tables, genomes: np.ndarray, metric: np.ndarray) -> None:
    """Prints cross-validated tau of predictors that learn from these networks, by columns."""
    space = space_of(tables)
    for names in (["score"], ["fisher"], ["diagonal"], ["score", "fisher", "diagonal"]):
        features = Features.of(space, tables, names=names)
        for kind in ("ridge", "pairwise", "process"):
            tau = assess(kind, features, space.encode(genomes), -metric).tau
            print(f"  {kind} on {', '.join(names):26} {tau}")


def finetuned(context: RunContext, tables: Tables, genomes: np.ndarray, jobs: int) -> np.ndarray:
    """(n,) metric on the search images after fine-tuning."""
    picks = {network_id(genome): tuple(genome) for genome in genomes.tolist()}
    return np.array([one.metric_search_split for one in validate_picks(context, tables, picks, jobs=jobs)])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a run folder with trained blocks")
    parser.add_argument("--networks", type=int, default=60, help="at random, and as many of better choices")
    parser.add_argument("--after", type=int, default=0, help="of each, fine-tuned")
    parser.add_argument("--examples", type=int, default=256, help="search images that the errors are of")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    context = open_run(options.folder, trust=True)
    torch.set_num_threads(context.card.threads)
    examples = min(options.examples, len(context.splits.search))
    gradients_of(context, options.draws, examples)
    found = {shape.name: errors_of(context, shape.name, options.draws, examples) for shape in context.shapes}
    tables = tables_of(found)
    stored = options.folder / "tables.h5"
    if stored.is_file() and "score_in_context" in (known := Tables.load(stored)).columns:
        tables = tables.with_column("score_in_context", list(known.column("score_in_context").values))
    totals, sign = totals_of(tables, found), 1.0 if context.task.maximize else -1.0
    for genomes, what in zip(drawn(tables, options.networks, context.card.seed), ("random", "better"), strict=True):
        values = measured(context, tables, genomes)
        metric = sign * values[:, 0]
        show(totals, genomes, metric, f"{what} networks as assembled, {context.task.metric_name}")
        whole = kendall(-values[:, 1], metric, rng=np.random.default_rng(0))
        print(f"  the distance of the whole network's outputs from the teacher's {whole}")
        show_fitted(tables, genomes, metric)
        show(totals, genomes, -values[:, 1], f"{what} networks as assembled, minus that distance")
        if options.after:
            few = genomes[: options.after]
            after = sign * finetuned(context, tables, few, options.jobs)
            show(totals, few, after, f"{what} networks after fine-tuning")
            print(f"  the metric as assembled {kendall(metric[: len(few)], after, rng=np.random.default_rng(0))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
