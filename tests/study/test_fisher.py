"""`fisher=` of a study: a distance of the user's own weighs errors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

import evo_qnas as eq
from tests.study.conftest import FAST, Convolutions


def squared(outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return (outputs - teacher).square().mean(dim=1)


def nine_times(outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return 9.0 * squared(outputs, teacher)


def absolute(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs - targets).abs().mean()


def scores(images: torch.Tensor, folder: Path, match: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    torch.manual_seed(0)
    model = Convolutions(4)
    with torch.no_grad():
        targets = model(images)
    settings: dict[str, Any] = {**FAST, "blocks": ["first", "second"], "operators": ["identity"]}
    study = eq.Study(
        model,
        train=list(zip(images, targets, strict=True)),
        metric=eq.metrics.mean_absolute_error,
        loss=absolute,
        match=match,
        fisher={"draws": 3},
        folder=folder,
        **settings,
    )
    tables = study.run("tables", jobs=1).tables
    return list(tables.column("score").values), list(tables.column("score_fisher").values)


def test_a_larger_distance_is_a_larger_score(images: torch.Tensor, tmp_path: Path) -> None:
    """Nine times the distance is nine times the score by gradients; the plain score does not know of it.

    The loss, whose curvature is none, has no part in it.
    """
    plain, once = scores(images, tmp_path / "once", squared)
    same, nine = scores(images, tmp_path / "nine", nine_times)
    for one, two in zip(plain, same, strict=True):
        np.testing.assert_array_equal(one, two)
    for one, two in zip(once, nine, strict=True):
        assert (one > 0.0).all()
        np.testing.assert_allclose(two, 9.0 * one, rtol=1e-4)
