"""Limits, operators, digests of models, and what workers get."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import evo_qnas as eq
from evo_qnas.errors import JobError
from evo_qnas.study.digests import model_digest
from evo_qnas.study.handing import hand_over, received
from evo_qnas.study.limits import Limit
from evo_qnas.summary import Int8Teacher, ValidatedNetwork

TEACHER = Int8Teacher(metric=0.5, metric_before_finetune=0.9, metric_search_split=0.9, size_bytes=1000, latency_ms=4.0)
NETWORK = ValidatedNetwork(
    id="a",
    genome=(0,),
    blocks=(),
    metric_before_finetune=0.8,
    metric=0.2,
    metric_stderr=None,
    metric_search_split=0.85,
    size_bytes=600,
    latency_ms=3.0,
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("size_bytes <= 0.6x", True),
        ("size_bytes < 0.6x", False),
        ("size_bytes<=600", True),
        ("latency_ms <= 0.7x", False),
        ("latency_ms <= 3", True),
        ("metric >= 0.9x", True),
        ("metric > 9e-1", False),
    ],
)
def test_limits_are_relative_to_the_teacher_in_int8_or_plain(text: str, met: bool) -> None:
    assert Limit.read(text).met(NETWORK, TEACHER) is met


def test_an_operator_is_an_entry_of_a_card() -> None:
    use = eq.operator("inverted_residual", blocks=["a"], expansion=[2, 4], kernel=3)
    assert use.model_dump() == {
        "card": "inverted_residual",
        "blocks": ["a"],
        "parameters": {"expansion": [2, 4], "kernel": [3]},
    }


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor, self.layer = factor, nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) * self.factor


class Shifted(Scaled):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.factor


def test_a_model_is_its_weights_its_code_and_its_settings() -> None:
    def made(kind: type[Scaled] = Scaled, factor: float = 2.0) -> nn.Module:
        torch.manual_seed(0)
        return kind(factor)

    plain = model_digest(made())
    assert model_digest(made()) == plain
    assert model_digest(made().eval()) == plain
    changed = made()
    with torch.no_grad():
        changed.layer.weight[0, 0] += 1e-6
    others = [model_digest(model) for model in (changed, made(factor=3.0), made(Shifted))]
    assert len({plain, *others}) == 4


def test_workers_get_closures_and_map_what_is_large(tmp_path: Path) -> None:
    factor, large = 3.0, torch.randn(600_000)
    array = np.arange(400_000, dtype=np.float64).reshape(2, -1)
    path = tmp_path / "workers" / "value.pkl"
    hand_over({"call": lambda x: factor * x, "large": [large, large], "array": array, "small": torch.ones(2)}, path)
    assert path.stat().st_size < 100_000
    assert len(list(path.parent.glob("value.*.bin"))) == 2
    got = received(path)
    assert got["call"](2.0) == 6.0
    assert torch.equal(got["large"][0], large)
    assert np.array_equal(got["array"], array)
    assert received(path) is got
    with pytest.raises(JobError, match=r"gone\.pkl is gone: the run that wrote it has ended, start it again"):
        received(tmp_path / "gone.pkl")


def test_names_of_the_network_half_are_loaded_when_used() -> None:
    assert {"Study", "metrics", "quantize", "load_network"} <= set(dir(eq))
    with pytest.raises(AttributeError, match=r"module 'evo_qnas' has no attribute 'Stdy'"):
        _ = eq.Stdy
