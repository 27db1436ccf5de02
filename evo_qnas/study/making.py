"""From a model, data and callables to a run."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from evo_qnas.cards import Card, validate
from evo_qnas.data import Splits
from evo_qnas.data.live import LiveExamples, Reading, Subset, drawn_apart, examples_of
from evo_qnas.data.nests import Structure, call, leaves
from evo_qnas.errors import DataError, NetworkError
from evo_qnas.fingerprints import digest
from evo_qnas.metrics import Metric
from evo_qnas.metrics.classes import class_axis
from evo_qnas.networks.models.teachers import check_model
from evo_qnas.networks.tasks.distances import KL, distances_of
from evo_qnas.networks.tasks.measured import AnyMetric, MeasuredTask
from evo_qnas.pipeline.cards.problem import Settings
from evo_qnas.study.digests import model_digest
from evo_qnas.study.live import LiveWorkload
from evo_qnas.study.operators import use_of

# Shares of the train examples that are set aside where no search or test data are given: those of cards.
_SEARCH_SHARE, _TEST_SHARE = 0.2, 0.2


def splits_of(
    train: Any, search: Any, test: Any, reading: Reading, *, folder: Path, seed: int, budget_bytes: int
) -> Splits:
    """The three parts; what is not given is drawn from train."""

    def opened(data: Any) -> LiveExamples | Subset | None:
        if data is None:
            return None
        return examples_of(data, reading, folder=folder / "data", seed=seed, budget_bytes=budget_bytes)

    learning, scoring, testing = opened(train), opened(search), opened(test)
    if learning is None:
        raise DataError("train is None: a study needs data to learn from")
    shares = [_SEARCH_SHARE] * (scoring is None) + [_TEST_SHARE] * (testing is None)
    if shares:
        *apart, learning = drawn_apart(learning, shares, seed=seed)
        scoring = apart.pop(0) if scoring is None else scoring
        testing = apart.pop(0) if testing is None else testing
    if scoring is None or testing is None:
        raise DataError("search and test are missing")
    return Splits(train=learning, search=scoring, test=testing, classes=())


@torch.no_grad()
def task_of(
    model: nn.Module,
    splits: Splits,
    *,
    metric: AnyMetric | None,
    maximize: bool | None,
    loss: Callable[[Any, Any], torch.Tensor] | None,
    match: Any,
) -> MeasuredTask:
    """The task of a metric, a loss and a distance, with what the model's own outputs say.

    Raises:
        NetworkError: the model has weights that are no numbers or cannot take the inputs, or metric and targets do not
            go together.
    """
    check_model(model)
    inputs, targets = splits.train.take(slice(0, 2))
    try:
        outputs = call(model, inputs)
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        shapes = " and ".join(str(tuple(leaf.shape[1:])) for leaf in leaves(inputs))
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise NetworkError(f"the model cannot be called with inputs of shape {shapes}: {first}") from error
    if targets is None and loss is not None:
        raise NetworkError("a loss needs targets, and there are none: leave out loss, or give targets=..")
    if metric is None and targets is not None:
        raise NetworkError("metric is missing: give one of evo_qnas.metrics, or metric(predict, data) -> float")
    logits = isinstance(metric, Metric) and metric.logits
    labelled = isinstance(targets, torch.Tensor) and isinstance(outputs, torch.Tensor)
    axis = class_axis(outputs, targets) if logits and labelled else None
    named = metric if isinstance(metric, Metric) else None
    words = "agreement with the teacher" if metric is None else getattr(metric, "__name__", type(metric).__name__)
    up = True if named is None else named.maximize
    return MeasuredTask(
        measure=metric or _never,
        criterion=loss,
        distances=distances_of(match, outputs, logits=logits, axis=axis),
        structure=None if isinstance(outputs, torch.Tensor) else Structure.of(outputs),
        teacher=model if metric is None else None,
        metric_name=words if named is None else named.name,
        unit=("%" if metric is None else "") if named is None else named.unit,
        maximize=up if maximize is None else maximize,
    )


def agreement_task(model: nn.Module, data: LiveExamples | Subset, *, match: Any) -> MeasuredTask:
    """The task whose metric is agreement with the model; `auto` compares logits of classes where outputs look so."""
    splits = Splits(train=data, search=data, test=data, classes=())
    return task_of(model, splits, metric=None, maximize=None, loss=None, match=match)


def _never(predict: Any, data: Any) -> float:
    """Stands where agreement with the teacher is the metric."""
    raise NetworkError("there are no targets: the metric is agreement with the teacher")


def digests_of(model: nn.Module, splits: Splits, reading: Reading, task: MeasuredTask) -> dict[str, str]:
    """A digest of each live part, by its name as an argument of `Study`."""
    data = {"train": splits.train, "search": splits.search, "test": splits.test}
    found = {"model": model_digest(model)}
    found |= {name: part.content for name, part in data.items() if isinstance(part, LiveExamples | Subset)}
    callables: Mapping[str, Any] = {
        "inputs": reading.inputs,
        "targets": reading.targets,
        "metric": task.measure,
        "loss": task.criterion,
        "match": task.distances,
        "maximize": task.maximize,
    }
    return found | {name: digest(value)[:32] for name, value in callables.items()}


def settings_of(
    task: MeasuredTask,
    *,
    blocks: Sequence[str],
    operators: Sequence[Any],
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    float_bits: Sequence[int],
    keep_float: Sequence[str],
    seed: int,
    sections: Mapping[str, Card | Mapping[str, Any] | None],
) -> Settings:
    """The settings of a run; sections are as in cards.

    Raises:
        CardError: a key is unknown, or a value breaks its rule.
    """
    given = {
        name: section.model_dump(exclude_unset=True) if isinstance(section, Card) else section
        for name, section in sections.items()
        if section is not None
    }
    quantization: dict[str, Any] = {"weight_bits": list(weight_bits), "activation_bits": list(activation_bits)}
    if float_bits:
        quantization["float_bits"] = list(float_bits)
    if keep_float:
        quantization["keep_float"] = list(keep_float)
    # The data that the model learnt from are at hand: the rates of cards, and no network ends worse than it began.
    learning: dict[str, Any] = {"learning_rate": 1e-3, "step_learning_rate": 1e-2, "keep": "best"}
    if task.criterion is None:
        learning["teacher_share"] = 1.0
    if task.distances is not None and all(distance.measure != KL for distance in task.distances):
        learning["temperature"] = 1.0
    values = {
        "seed": seed,
        "blocks": {"names": list(blocks)},
        "operators": [use_of(entry).model_dump() for entry in operators],
        **given,
        "quantization": quantization | dict(given.get("quantization", {})),
        "finetuning": learning | dict(given.get("finetuning", {})),
    }
    return validate(Settings, values, "study")


def workload_of(model: nn.Module, splits: Splits, reading: Reading, task: MeasuredTask, folder: Path) -> LiveWorkload:
    """The workload of a study."""
    parts = digests_of(model, splits, reading, task)
    return LiveWorkload(model=model, data=splits, purpose=task, parts=parts, folder=folder)
