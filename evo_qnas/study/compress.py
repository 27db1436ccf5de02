"""The whole method in one call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from evo_qnas.study.chosen import ChosenNetwork
from evo_qnas.study.study import Study


def compress(
    model: nn.Module,
    train: Any,
    *,
    limit: str | Sequence[str] = (),
    folder: str | Path,
    jobs: int | None = None,
    **settings: Any,
) -> ChosenNetwork:
    """The best validated network of a model within limits; the same call goes on where it was interrupted.

    Args:
        model: trained.
        train: data; where `search` and `test` are not given, parts of it are set aside for them.
        limit: such as `size_bytes <= 0.6x` (of the teacher in INT8) or `latency_ms <= 4`, or several.
        folder: of the run.
        jobs: worker processes; the result does not depend on it.
        settings: as of `Study`.
    """
    study = Study(model, train=train, folder=folder, **settings)
    study.run(jobs=jobs)
    return study.best(*([limit] if isinstance(limit, str) else limit))
