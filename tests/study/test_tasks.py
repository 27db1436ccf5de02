"""Tasks of every kind, end to end on made data."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import evo_qnas as eq
from tests.study.conftest import FAST, Convolutions, fitted


def test_several_labels_an_example(images: torch.Tensor, tmp_path: Path) -> None:
    targets = (images.mean(dim=(2, 3)) > 0.0).float()
    torch.manual_seed(0)
    model = fitted(Convolutions(3), images, targets, functional.binary_cross_entropy_with_logits)
    study = eq.Study(
        model,
        train=(images, targets),
        metric=eq.metrics.f1(),
        loss=functional.binary_cross_entropy_with_logits,
        blocks=["first"],
        operators=["identity"],
        folder=tmp_path,
        **FAST,
    ).run("networks", jobs=1)
    networks = study.state.networks
    assert len(networks) >= 2
    assert all(network.metric_stderr is not None and 0.0 <= network.metric <= 1.0 for network in networks)


def test_one_number_for_all_examples_has_no_standard_error(images: torch.Tensor, tmp_path: Path) -> None:
    targets = images.mean(dim=(1, 2, 3))

    def correlation(predict: Any, data: Any) -> float:
        pairs = [(predict(inputs)[:, 0], wanted) for inputs, wanted in data.batches(16)]
        outputs, wanted = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        return float(torch.corrcoef(torch.stack([outputs, wanted]))[0, 1])

    torch.manual_seed(0)
    study = eq.Study(
        Convolutions(1),
        train=(images, targets),
        metric=correlation,
        blocks=["first"],
        operators=["identity"],
        folder=tmp_path,
        **FAST,
    ).run(jobs=1)
    summary = study.summary
    assert summary.metric.name == "correlation"
    assert all(network.metric_stderr is None for network in summary.networks)
    assert all(n.minus_teacher_int8 is not None and n.minus_teacher_int8.stderr is None for n in summary.networks)
    assert "no standard error" in study.report(tmp_path / "r.html").read_text()


def test_no_labels_at_all(images: torch.Tensor, tmp_path: Path) -> None:
    torch.manual_seed(0)
    study = eq.Study(
        Convolutions(4), train=images, blocks=["first", "second"], operators=["identity"], folder=tmp_path, **FAST
    ).run("networks", jobs=1)
    assert study.context.card.finetuning.teacher_share == 1.0
    whole = next(network for network in study.state.networks if network.id == "teacher_int8")
    assert study.context.task.metric_name == "agreement with the teacher"
    assert 0.95 < whole.metric <= 1.0
    assert whole.metric_stderr is not None


class Towers(nn.Module):
    """Two inputs, by name in any order, and two outputs in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3, padding=1), nn.Linear(5, 8)
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU())
        self.value, self.kind = nn.Linear(8, 1), nn.Linear(8, 3)

    def forward(self, image: torch.Tensor, facts: torch.Tensor) -> dict[str, torch.Tensor]:
        maps = self.body(torch.relu(self.left(image)))
        found = maps.mean(dim=(2, 3)) + self.right(facts)
        return {"value": self.value(found)[:, 0], "kind": self.kind(found)}


@pytest.mark.parametrize("named", [False, True])
def test_two_inputs_and_two_outputs(images: torch.Tensor, tmp_path: Path, named: bool) -> None:
    facts = torch.randn(len(images), 5, generator=torch.Generator().manual_seed(1))
    targets = (images.mean(dim=(1, 2, 3)) + facts[:, 0], (facts[:, 1] > 0.0).long())

    def error(outputs: dict[str, torch.Tensor], wanted: Any) -> torch.Tensor:
        return (outputs["value"] - wanted[0]).abs()

    def inputs(batch: Any) -> Any:
        return {"image": batch[0], "facts": batch[1]} if named else (batch[0], batch[1])

    torch.manual_seed(0)
    study = eq.Study(
        Towers(),
        train=(images, facts, *targets),
        inputs=inputs,
        targets=lambda batch: (batch[2], batch[3]),
        metric=eq.metrics.per_example(error, maximize=False),
        loss=lambda outputs, wanted: functional.cross_entropy(outputs["kind"], wanted[1]),
        match={"value": "mse", "kind": "kl"},
        blocks=["body"],
        operators=["identity"],
        folder=tmp_path,
        **FAST,
    ).run("networks", jobs=1)
    network = eq.load_network(tmp_path, study.state.networks[-1].id)
    outputs = network(images[:2], facts[:2])
    assert set(outputs) == {"value", "kind"}
    assert outputs["kind"].shape == (2, 3)


class Tokens(nn.Module):
    """A class for each token of a sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.body = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8))
        self.head = nn.Linear(8, 4)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.words(words)))


def test_a_class_for_each_token(tmp_path: Path) -> None:
    words = torch.randint(0, 20, (96, 7), generator=torch.Generator().manual_seed(0))
    labels = (words % 4).masked_fill(words == 0, -100)

    def loss(outputs: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(outputs.transpose(1, 2), wanted, ignore_index=-100)

    torch.manual_seed(0)
    model = fitted(Tokens(), words, labels, loss, steps=80)
    study = eq.Study(
        model,
        train=(words, labels),
        metric=eq.metrics.accuracy,
        loss=loss,
        blocks=["body"],
        operators=["identity"],
        folder=tmp_path,
        **FAST,
    ).run("networks", jobs=1)
    whole = next(network for network in study.state.networks if network.id == "teacher_int8")
    assert whole.metric > 0.95
    assert study.context.task.distances[0].axis == 2
    network = eq.load_network(tmp_path, "teacher_int8")
    assert torch.equal(network(words[:3]), network(words)[:3])


def test_a_metric_that_cannot_work_is_refused_before_training(images: torch.Tensor, tmp_path: Path) -> None:
    def study(each: Any, **settings: Any) -> eq.Study:
        metric = eq.metrics.per_example(each, name="odd", **settings)
        data = (images, images.mean(dim=(1, 2, 3)))
        return eq.Study(
            Convolutions(1),
            train=data,
            metric=metric,
            blocks=["first"],
            operators=["identity"],
            folder=tmp_path,
            **FAST,
        )

    with pytest.raises(eq.errors.NetworkError, match=r"the metric 'odd' does not work on the model's outputs: .*bool"):
        study(lambda outputs, targets: (outputs[:, 0] > targets) - (targets > 0)).check()
    # One that needs many examples is no refusal; nor is one of true and false.
    report = study(lambda outputs, targets: (outputs[:, 0] - targets).abs() < 0.5).check()
    assert str(report).splitlines()[0] == "goes through; 1 block: first; operators: identity"
    assert study(lambda outputs, targets: outputs[:, 0], reduce=_of_many).check().fits


def _of_many(outcomes: torch.Tensor) -> float:
    if len(outcomes) < 10:
        raise ValueError("too few")
    return float(outcomes.mean())


def test_bits_alone_run_end_in_words_and_are_found_finished(
    images: torch.Tensor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def study(**settings: Any) -> eq.Study:
        return eq.Study(
            Convolutions(1),
            train=(images, images.mean(dim=(1, 2, 3))),
            metric=eq.metrics.mean_absolute_error,
            blocks=["first"],
            operators=[],
            folder=tmp_path,
            **{**FAST, **settings},
        )

    with pytest.raises(eq.errors.CardError, match=r"nothing to choose: neither operators nor bits besides weight_bits"):
        study(weight_bits=[8]).check()
    torch.manual_seed(0)
    assert {choice.operator for n in study().run(jobs=1).summary.networks for choice in n.blocks} == {"teacher"}
    assert "found finished" not in capsys.readouterr().err
    torch.manual_seed(0)
    finished = study()
    assert "not finished" in str(finished)
    finished.run(jobs=1)
    said = capsys.readouterr().err
    assert {"teacher", "blocks", "tables", "search", "networks"} <= set(re.findall(r"(\w+): found finished", said))
    assert f"evo-qnas: Its page, to open in a browser: {tmp_path / 'report.html'}" in said
    assert str(finished).startswith("Best network ")
    with pytest.raises(eq.errors.CardError, match=r"give another folder with folder=\.\., or run\(anew=True\)"):
        study(seed=1).run(jobs=1)
