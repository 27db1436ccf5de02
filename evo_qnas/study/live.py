"""A workload of live objects."""

import copy
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import nn

from evo_qnas.data import Splits
from evo_qnas.networks.tasks.base import Task
from evo_qnas.pipeline.cards.learning import TeacherCard
from evo_qnas.pipeline.context import Workload, digest
from evo_qnas.study.handing import hand_over, received


@final
@dataclass(frozen=True, kw_only=True)
class LiveWorkload(Workload):
    """A trained model, data and a task as objects of this process.

    Attributes:
        model: trained; stays as it is.
        data: its three parts.
        purpose: what the networks are for.
        parts: digests of model, data and callables by name.
        folder: of the run; worker processes find the objects there while it goes on.
    """

    model: nn.Module
    data: Splits
    purpose: Task
    parts: Mapping[str, str]
    folder: Path

    def __reduce__(self) -> tuple[Any, ...]:
        """Worker processes read the objects from a file of the run folder, each of them once."""
        return received, (self._handed,)

    @cached_property
    def _handed(self) -> Path:
        """The file, written when a worker first needs it."""
        path = self.folder / "workers" / f"{self.fingerprint}.pkl"
        values = {name: getattr(self, name) for name in ("model", "data", "purpose", "parts", "folder")}
        hand_over(_Handed(values), path)
        return path

    def withdraw(self) -> None:
        """Removes what was handed to workers."""
        shutil.rmtree(self.folder / "workers", ignore_errors=True)
        vars(self).pop("_handed", None)

    @property
    def task_name(self) -> str:
        """The metric in words."""
        return self.purpose.metric_name

    @property
    def task(self) -> Task:
        """The task."""
        return self.purpose

    @property
    def recipe(self) -> TeacherCard | None:
        """None: the model is trained."""
        return None

    def new_model(self) -> nn.Module:
        """A copy of the model."""
        return copy.deepcopy(self.model).eval()

    def trained_model(self) -> nn.Module | None:
        """A copy of the model."""
        return self.new_model()

    def splits(self, cache: Path, jobs: int) -> Splits:
        """The data."""
        return self.data

    @property
    def digests(self) -> Mapping[str, str]:
        """Of model, data and callables."""
        return self.parts

    @property
    def fingerprint(self) -> str:
        """Of all of them."""
        return digest("live", dict(self.parts))


@final
class _Handed:
    """The parts of a workload in a file; reading it gives the workload."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._values,)


def _made(values: dict[str, Any]) -> LiveWorkload:
    return LiveWorkload(**values)
