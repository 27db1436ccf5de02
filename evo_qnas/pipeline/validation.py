"""Networks of the front: picked, assembled, fine-tuned, validated; and how well the score predicts accuracy."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats

from evo_qnas.files import write_text
from evo_qnas.networks.integer.reference import in_integers
from evo_qnas.networks.models.weights import load_weights, save_weights
from evo_qnas.networks.quantization.costs import costs_of
from evo_qnas.networks.quantization.quantize import Bits, QuantizedNetwork
from evo_qnas.networks.scoring.local import assemble_quantized
from evo_qnas.networks.training.finetune import finetune
from evo_qnas.pipeline.refining import refined_choices
from evo_qnas.pipeline.stages import in_jobs
from evo_qnas.pipeline.workplace import Workplace, digest, made_from, read_json, seed_of, to_json
from evo_qnas.tables import Tables

BASELINE = "teacher_int8"
_OUTCOMES = "outcomes.safetensors"
_LEAST_PICKS = 5
_RESAMPLES = 2000


def network_id(genome: Sequence[int]) -> str:
    """Eight hex digits of a genome: the same network has the same name in every run."""
    return hashlib.sha256(json.dumps([int(value) for value in genome]).encode()).hexdigest()[:8]


def pick(
    tables: Tables,
    genomes: Int[np.ndarray, "n blocks"],
    shares: Sequence[float],
    *,
    column: str = "size_bytes",
    least: int = _LEAST_PICKS,
) -> dict[str, tuple[int, ...]]:
    """Networks of a front to validate, by id: the INT8 teacher first, then from large to small.

    For each share the network with the best score among those that take at most this share of the INT8 teacher's size
    (where there is no such baseline: of the front's largest network); where these are fewer than `least`, front members
    in the widest gaps of size are added.

    Args:
        tables: with the columns `score` and `column`.
        genomes: the front.
        shares: 0..1.
        column: what is shared, `size_bytes` or another cost such as `latency_ms`.
        least: fewest networks besides the INT8 teacher.
    """
    picks: dict[str, tuple[int, ...]] = {}
    if BASELINE in tables.baselines:
        picks[BASELINE] = tables.baselines[BASELINE]
    if not len(genomes):
        return picks
    score, size = tables.total("score", genomes), tables.total(column, genomes)
    whole = size.max()
    if BASELINE in tables.baselines:
        whole = tables.total(column, np.array([tables.baselines[BASELINE]]))[0]
    chosen: list[int] = []
    for share in sorted(shares, reverse=True):
        fitting = np.flatnonzero(size <= share * whole)
        if len(fitting):
            chosen.append(int(fitting[score[fitting].argmin()]))
    chosen = list(dict.fromkeys(chosen))
    order = np.argsort(size, kind="stable")
    while len(chosen) < min(least, len(order)):
        rest = [int(index) for index in order if index not in chosen]
        gaps = [min((abs(size[index] - size[other]) for other in chosen), default=size[index]) for index in rest]
        chosen.append(rest[int(np.argmax(gaps))])
    for index in sorted(chosen, key=lambda i: -size[i]):
        picks[network_id(genomes[index].tolist())] = tuple(int(value) for value in genomes[index])
    return picks


def choices_of(tables: Tables, genome: Sequence[int]) -> list[dict[str, Any]]:
    """Per block its name, operator and bits."""
    rows = []
    for block, value in zip(tables.blocks, genome, strict=True):
        operator, weight, activation = block.labels[value]
        rows.append({"block": block.name, "operator": operator, "weight_bits": weight, "activation_bits": activation})
    return rows


def build_network(place: Workplace, choices: Sequence[Mapping[str, Any]]) -> QuantizedNetwork:
    """The quantized network of these choices, with refined weights where there are, calibrated, not fine-tuned."""
    modules = {row["block"]: place.trained(row["block"], row["operator"]) for row in choices}
    bits = {
        row["block"]: Bits(weight=row["weight_bits"], activation=row["activation_bits"])
        for row in choices
        if row["weight_bits"]
    }
    refined = refined_choices(place, choices)
    return assemble_quantized(place.teacher, modules, bits, place.fixed_bits, place.calibration, refined=refined)


def finetuning_settings(place: Workplace) -> dict[str, Any]:
    """Keyword arguments of `finetune` from the card."""
    settings = place.card.finetuning.values
    values: dict[str, Any] = {"settings": settings, "task": place.task}
    if settings.keep == "best":
        values["watched"] = place.splits.search
    return {**values, "weights": place.task.target_weights(place.splits, settings.class_balance)}


@dataclass(frozen=True)
class Validation:
    """Builds, fine-tunes and validates one network; leaves `networks/<id>/`."""

    place: Workplace

    def fingerprint(self, identity: str, choices: Sequence[Mapping[str, Any]]) -> str:
        """What a validated network depends on."""
        place = self.place
        settings = place.card.finetuning.model_dump(mode="json")
        # Keeping the last state is what runs did before there was a choice.
        if settings["keep"] == "last":
            del settings["keep"]
        return digest("network", place.tables_fingerprint, identity, list(choices), settings)

    def __call__(self, item: tuple[str, list[int], list[dict[str, Any]]]) -> dict[str, Any]:
        """The network's entry in `summary.json`."""
        identity, genome, choices = item
        place = self.place
        folder = place.folder / "networks" / identity
        fingerprint = self.fingerprint(identity, choices)
        known = read_json(folder / "network.json", fingerprint)
        if known is not None and made_from(folder / "weights.safetensors", fingerprint):
            return {key: value for key, value in known.items() if key != "fingerprint"}
        network = build_network(place, choices)
        before = place.task.metric(network, place.splits.test)
        finetune(
            network,
            place.teacher,
            place.splits.train,
            **finetuning_settings(place),
            seed=seed_of("finetuning", place.card.seed),
            device=place.device,
        )
        size = costs_of(network.layers, network.quantizers, 8).size_bytes
        test = place.splits.test
        deployed = in_integers(network, test.take(slice(0, 1))[0])
        found = place.task.outcomes(deployed, test)
        entry = {
            "id": identity,
            "genome": genome,
            "blocks": choices,
            "metric_before_finetune": before,
            "metric": place.task.metric_of(found),
            "metric_stderr": place.task.stderr(found, seed=place.card.seed),
            "metric_search_split": place.task.metric(deployed, place.splits.search),
            "size_bytes": size,
            "latency_ms": None,
            "onnx": None,
        }
        save_weights(network.stored(), folder / "weights.safetensors", {"fingerprint": fingerprint})
        save_weights({"outcomes": found}, folder / _OUTCOMES, {"fingerprint": fingerprint})
        write_text(folder / "network.json", to_json({"fingerprint": fingerprint, **entry}))
        return entry


def stored_outcomes(
    place: Workplace, entries: Sequence[Mapping[str, Any]]
) -> dict[str, Int[torch.Tensor, "images *counts"]]:
    """Outcomes on the test images by network, of those validated networks whose file is there and of this metric."""
    found = {}
    for entry in entries:
        path = place.folder / "networks" / entry["id"] / _OUTCOMES
        if path.is_file():
            counts = load_weights(path)[0]["outcomes"]
            if place.task.metric_of(counts) == entry["metric"]:
                found[str(entry["id"])] = counts
    return found


@dataclass(frozen=True)
class _Measure:
    """Accuracy of one network before fine-tuning, on the search images."""

    place: Workplace

    def __call__(self, choices: list[dict[str, Any]]) -> float:
        return self.place.task.metric(build_network(self.place, choices), self.place.splits.search)


def measure_before(place: Workplace, networks: Sequence[list[dict[str, Any]]], *, jobs: int) -> list[float]:
    """The metric of assembled and calibrated networks on the search images, in their order.

    What was measured is kept in `networks/measured.json`.
    """
    path = place.folder / "networks" / "measured.json"
    fingerprint = digest("measured", place.tables_fingerprint)
    known = dict((read_json(path, fingerprint) or {"metric": {}})["metric"])
    names = [digest(choices) for choices in networks]
    missing = [index for index, name in enumerate(names) if name not in known]
    items = [networks[index] for index in missing]
    if items:
        values = in_jobs(_Measure(place), items, place=place, jobs=jobs, label="networks measured")
        known |= {names[index]: value for index, value in zip(missing, values, strict=True)}
        write_text(path, to_json({"fingerprint": fingerprint, "metric": known}))
    return [float(known[name]) for name in names]


def rank_correlation(place: Workplace, tables: Tables, *, jobs: int) -> dict[str, Any] | None:
    """Kendall's tau between predicted score and accuracy before fine-tuning over random genomes, with its interval.

    Accuracy (or mIoU) is that on the search images; `better_half` is the same within the half with the better scores,
    where a search looks for its networks. The interval is the 2.5 % .. 97.5 % percentile bootstrap over networks.
    """
    count = place.card.validation.random_networks
    if count < 3:
        return None
    path = place.folder / "networks" / "random.json"
    fingerprint = digest("random", place.tables_fingerprint, count)
    known = read_json(path, fingerprint)
    rng = np.random.default_rng(seed_of("random networks", place.card.seed))
    genomes = np.stack([rng.integers(0, tables.choices) for _ in range(count)])
    if known is None:
        items = [choices_of(tables, genome.tolist()) for genome in genomes]
        values = in_jobs(_Measure(place), items, place=place, jobs=jobs, label="random networks")
        known = {"fingerprint": fingerprint, "genomes": genomes.tolist(), "metric": values}
        write_text(path, to_json(known))
    scores, measured = tables.total("score", genomes), np.array(known["metric"], dtype=np.float64)
    found = kendall(-scores, measured, seed=place.card.seed)
    better = np.argsort(scores, kind="stable")[: count // 2]
    if len(better) >= 3:
        found["better_half"] = kendall(-scores[better], measured[better], seed=place.card.seed)
    return found


def kendall(predicted: Float[np.ndarray, " n"], measured: Float[np.ndarray, " n"], *, seed: int) -> dict[str, Any]:
    """Kendall's tau-b of two rankings with a 95 % percentile bootstrap interval; None where a ranking is constant."""
    tau = float(stats.kendalltau(predicted, measured).statistic)
    if not np.isfinite(tau):
        return {"kendall_tau": None, "networks": len(predicted), "low": None, "high": None}
    rng = np.random.default_rng(seed)
    resamples = []
    for _ in range(_RESAMPLES):
        chosen = rng.integers(0, len(predicted), len(predicted))
        value = float(stats.kendalltau(predicted[chosen], measured[chosen]).statistic)
        if np.isfinite(value):
            resamples.append(value)
    low, high = np.quantile(resamples, [0.025, 0.975])
    return {"kendall_tau": tau, "networks": len(predicted), "low": float(low), "high": float(high)}


def validate_picks(
    place: Workplace, tables: Tables, picks: Mapping[str, Sequence[int]], *, jobs: int
) -> list[dict[str, Any]]:
    """The entries of `summary.json` for the picks: fine-tuned under one budget, validated on the test images."""
    items = [(identity, [int(v) for v in genome], choices_of(tables, genome)) for identity, genome in picks.items()]
    entries = in_jobs(Validation(place), items, place=place, jobs=jobs, label="networks fine-tuned", names=list(picks))
    for entry in entries:
        genome = np.array([entry["genome"]])
        entry["predicted"] = {name: float(tables.total(name, genome)[0]) for name in tables.columns}
    return entries
