"""The stages of a run up to the search. Each skips what is there and was made from the same card."""

import dataclasses
import os
import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from evo_qnas.files import write_text
from evo_qnas.jobs import active, claimed_device, spread
from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.models.teachers import load_teacher, start_teacher
from evo_qnas.networks.models.weights import save_weights
from evo_qnas.networks.scoring.local import fixed_costs, score_operator
from evo_qnas.networks.training.distill import block_features, candidate_steps, distill
from evo_qnas.networks.training.features import output_variance
from evo_qnas.networks.training.segmentation import train_segmenter
from evo_qnas.networks.training.training import train_classifier
from evo_qnas.pipeline.feature_files import features_of, map_features
from evo_qnas.pipeline.refining import refine_block, refined_bits, refined_weights
from evo_qnas.pipeline.workplace import Workplace, digest, made_from, read_json, seed_of, to_json
from evo_qnas.progress import progress_bar
from evo_qnas.tables import Block, Tables

Result = TypeVar("Result")

_COSTS = {"size_bytes": "bytes", "macs": "1", "bit_operations": "1"}


def in_jobs(
    task: Callable[..., Result],
    items: Sequence[Any],
    *,
    place: Workplace,
    jobs: int,
    label: str,
    names: Sequence[str] | None = None,
) -> list[Result]:
    """Results of `task(item)` in the order of the items, spread over processes, with a progress bar.

    Every job computes with the same number of threads, in this process or in another, so that the number of jobs
    changes no result. On GPUs there is one job per device.
    """
    told = [f"{label}: {name}" for name in names or [str(index) for index in range(len(items))]]
    job = _Job(task=task, threads=place.card.threads, device=place.device)
    if place.device == "cuda" and active() is None:
        jobs = min(jobs, torch.cuda.device_count())
    done: dict[int, Result] = {}
    with progress_bar(label, len(items)) as advance:
        for index, result in spread(job, list(zip(told, items, strict=True)), jobs=jobs, names=told):
            done[index] = result
            advance(1)
    return [done[index] for index in range(len(items))]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Job:
    """A task in a worker: its number of threads, and a GPU of its own where there are GPUs."""

    task: Callable[[Any], Any]
    threads: int
    device: str

    def __call__(self, named: tuple[str, Any]) -> Any:
        name, item = named
        prepare_process(self.threads)
        if self.device != "cuda":
            return self.task(item)
        with claimed_device(torch.cuda.device_count()) as index, torch.cuda.device(index):
            print(f"evo-qnas: {name} on cuda:{index} of {platform.node()}", file=sys.stderr, flush=True)
            return self.task(item)


def make_teacher(place: Workplace) -> None:
    """`teacher.safetensors`: trained on the spot, or the user's weights."""
    if made_from(place.teacher_path, place.teacher_fingerprint):
        return
    teacher = place.new_teacher()
    weights = place.card.teacher.weights
    if weights is not None:
        load_teacher(teacher, weights)
    else:
        _train_teacher(place, teacher)
    save_weights(teacher.state_dict(), place.teacher_path, {"fingerprint": place.teacher_fingerprint})


def _train_teacher(place: Workplace, teacher: nn.Module) -> None:
    """Trains a teacher with every core: there is one job."""
    training, train = place.card.teacher.training, place.splits.train
    label, start = "teacher", place.card.teacher.start
    if start is not None:
        taken, known = start_teacher(teacher, start)
        label = f"teacher, from {taken} of {known} tensors of {start.name}"
    seed = seed_of("teacher order", place.card.seed)
    prepare_process(place.card.teacher.threads or place.card.threads)
    batch = min(training.batch_size, len(train))
    segments = place.card.task == "segmentation"
    epochs = training.all_epochs if segments else training.epochs
    with progress_bar(label, epochs * (len(train) // batch)) as advance:
        if not segments:
            train_classifier(
                teacher, train, **training.for_classification, seed=seed, device=place.device, advance=advance
            )
        else:
            train_segmenter(
                teacher,
                train,
                place.splits.search,
                classes=len(place.splits.classes),
                settings=training.for_segmentation,
                seed=seed,
                device=place.device,
                checkpoint=place.folder / "teacher.checkpoint.safetensors",
                fingerprint=place.teacher_fingerprint,
                advance=advance,
            )


def make_blocks(place: Workplace, *, jobs: int) -> None:
    """`blocks/<block>/<operator>.safetensors`: every candidate of every block, distilled."""
    waiting = [shape.name for shape in place.shapes if _missing(place, shape.name)]
    if not waiting:
        return
    map_features(place, waiting)
    task = _Distillation(place)
    in_jobs(task, waiting, place=place, jobs=jobs, label="blocks distilled", names=waiting)
    shutil.rmtree(place.folder / "features", ignore_errors=True)


def _missing(place: Workplace, block: str) -> list[str]:
    """Operators of a block whose candidate is not trained yet."""
    return [
        name
        for name in place.candidates(block)
        if not made_from(place.candidate_path(block, name), place.candidate_fingerprint(block, name))
    ]


@dataclasses.dataclass(frozen=True)
class _Distillation:
    """Distils one block; sent to worker processes, which build everything else from the card."""

    place: Workplace

    def __call__(self, block: str) -> None:
        place, settings = self.place, self.place.card.distillation
        missing = _missing(place, block)
        candidates = {name: module for name, module in place.candidates(block).items() if name in missing}
        features = features_of(place, block)
        with progress_bar(
            f"{block}", candidate_steps(list(candidates.values()), settings.steps), show=False
        ) as advance:
            losses = distill(
                candidates,
                features,
                **settings.model_dump(exclude={"features", "inherit"}),
                seed=seed_of("distillation", place.card.seed, block),
                device=place.device,
                advance=advance,
            )
        for name, module in candidates.items():
            metadata = {"fingerprint": place.candidate_fingerprint(block, name), "loss": repr(losses.get(name))}
            # An identity has no weights; a marker tensor keeps its file valid.
            tensors = module.state_dict() or {"none": torch.zeros(1)}
            save_weights(tensors, place.candidate_path(block, name), metadata)


def make_tables(place: Workplace, *, jobs: int) -> Tables:
    """`tables.h5`: score and costs of every choice, with the INT8 and INT4 teacher as baselines."""
    path = place.folder / "tables.h5"
    stamp = place.folder / "blocks" / "tables.json"
    if path.is_file() and read_json(stamp, digest(place.tables_fingerprint)) is not None:
        return Tables.load(path)
    names = [shape.name for shape in place.shapes]
    task = _Scoring(place)
    if refined_bits(place):
        map_features(place, names)
    rows = in_jobs(task, names, place=place, jobs=jobs, label="blocks scored", names=names)
    shutil.rmtree(place.folder / "features", ignore_errors=True)
    fixed = fixed_costs(place.teacher, place.example, names, place.fixed_bits)
    way, few = "post-training quantization", refined_bits(place)
    if few:
        way += f", refined before it at {', '.join(map(str, few))} weight bits"
    _to_tables(names, rows, {name: float(cost) for name, cost in dataclasses.asdict(fixed).items()}, way).save(path)
    write_text(stamp, to_json({"fingerprint": digest(place.tables_fingerprint)}))
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(path)


@dataclasses.dataclass(frozen=True)
class _Scoring:
    """Scores all choices of one block, refined first where the card says so; kept in `blocks/<block>/choices.json`."""

    place: Workplace

    def __call__(self, block: str) -> list[dict[str, Any]]:
        place = self.place
        path = place.folder / "blocks" / block / "choices.json"
        known = read_json(path, place.scores_fingerprint(block))
        if known is not None:
            return list(known["choices"])
        quantization = place.card.quantization
        calibration, _ = block_features(place.teacher, block, place.calibration)
        refine_block(place, block, calibration)
        axis = place.shape(block).channel_axis
        variance = output_variance(place.teacher, block, place.splits.train, channel_axis=axis)
        inputs, targets = block_features(place.teacher, block, place.splits.search)
        choices: list[dict[str, Any]] = []
        for operator in [TEACHER, *place.candidates(block)]:
            scored = score_operator(
                operator,
                place.trained(block, operator),
                weight_bits=quantization.weight_bits,
                activation_bits=quantization.activation_bits,
                calibration=calibration,
                inputs=inputs,
                targets=targets,
                variance=variance,
                channel_axis=axis,
                refined=refined_weights(place, block, operator),
            )
            choices += [dataclasses.asdict(choice) for choice in scored]
        write_text(path, to_json({"fingerprint": place.scores_fingerprint(block), "choices": choices}))
        return choices


def _to_tables(
    names: Sequence[str], rows: Sequence[Sequence[dict[str, Any]]], fixed: dict[str, float], way: str
) -> Tables:
    """Tables of scored choices; `way` is how they were quantized."""
    blocks = [
        Block(
            name=name,
            operators=tuple(choice["operator"] for choice in choices),
            weight_bits=np.array([choice["weight_bits"] for choice in choices], dtype=np.int64),
            activation_bits=np.array([choice["activation_bits"] for choice in choices], dtype=np.int64),
        )
        for name, choices in zip(names, rows, strict=True)
    ]
    columns = {"score": [np.array([choice["score"] for choice in choices]) for choices in rows]}
    for cost in _COSTS:
        columns[cost] = [np.array([choice["costs"][cost] for choice in choices], dtype=float) for choices in rows]
    baselines = {}
    for bits in (8, 4):
        genome = [_position(block, (TEACHER, bits, bits)) for block in blocks]
        if None not in genome:
            baselines[f"teacher_int{bits}"] = [index for index in genome if index is not None]
    return Tables.from_arrays(
        columns,
        blocks=blocks,
        units=_COSTS,
        fixed=fixed,
        stderr={"score": [np.array([choice["stderr"] for choice in choices]) for choices in rows]},
        sources={
            "score": f"noise-to-signal ratio of the block's output after {way}, search images",
            **dict.fromkeys(_COSTS, "counted from the quantized layers"),
        },
        baselines=baselines,
    )


def _position(block: Block, label: tuple[str, int, int]) -> int | None:
    return block.labels.index(label) if label in block.labels else None


def default_jobs() -> int:
    """As many jobs as this process may use cores."""
    return len(os.sched_getaffinity(0)) if "sched_getaffinity" in dir(os) else os.cpu_count() or 1
