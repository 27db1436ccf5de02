"""What a run works on: a model, data and a task; read from a card, or live objects of a `Study`."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import nn

from evo_qnas.data import Splits, load_splits
from evo_qnas.errors import CardError, DataError
from evo_qnas.fingerprints import digest as callable_digest
from evo_qnas.importing import imported
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.tasks.base import Task, find_task
from evo_qnas.pipeline.cards.learning import TeacherCard
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.pipeline.context.digests import digest, seed_of


class Workload(ABC):
    """A model, data and a task, whatever they come from; every stage and worker sees them through this alone.

    Contract: it can be pickled for worker processes, where it gives the same. Nothing is computed before it is asked
    for.
    """

    @property
    @abstractmethod
    def task_name(self) -> str:
        """The task in a word, for summaries."""

    @property
    @abstractmethod
    def task(self) -> Task:
        """What the networks are for."""

    @property
    @abstractmethod
    def recipe(self) -> TeacherCard | None:
        """How the model is trained; None for one that is trained already."""

    @abstractmethod
    def new_model(self) -> nn.Module:
        """A model that may be changed: with fresh weights, or the user's own."""

    @abstractmethod
    def trained_model(self) -> nn.Module | None:
        """The trained model, None where `recipe` is to train one."""

    @abstractmethod
    def splits(self, cache: Path, jobs: int) -> Splits:
        """The data; what is decoded or spooled is kept in `cache`."""

    @property
    @abstractmethod
    def digests(self) -> Mapping[str, str]:
        """Digests of live parts by name, to tell which of them has changed; empty where the card says everything."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A digest of everything that results depend on."""


@final
@dataclass(frozen=True)
class CardWorkload(Workload):
    """The workload that a card names.

    Attributes:
        card: the resolved card.
    """

    card: ProblemCard

    @property
    def task_name(self) -> str:
        """As in the card."""
        return self.card.task

    @property
    def task(self) -> Task:
        """An entry of `TASKS`, or an object of the user's."""
        return find_task(self.card.task)

    @property
    def recipe(self) -> TeacherCard | None:
        """`[teacher]`, where it names no weights."""
        return self.card.teacher if self.card.teacher.weights is None else None

    def new_model(self) -> nn.Module:
        """The architecture with fresh weights drawn from the card's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("teacher", self.card.seed))
            return build_teacher(self.card.teacher.architecture, self.card.teacher.parameters)

    def trained_model(self) -> nn.Module | None:
        """The architecture with `teacher.weights`."""
        weights = self.card.teacher.weights
        return None if weights is None else load_teacher(self.new_model(), weights)

    def splits(self, cache: Path, jobs: int) -> Splits:
        """The data set of `[data]`."""
        return load_splits(self.card.data, cache=cache, jobs=jobs)

    @property
    def digests(self) -> Mapping[str, str]:
        """Of data and task where functions and classes of the user's give them."""
        found = {}
        if ":" in self.card.data.name:
            found["data"] = callable_digest(imported(self.card.data.name, key="data.name", error=DataError))
        if ":" in self.card.task:
            found["task"] = callable_digest(imported(self.card.task, key="task", error=CardError))
        return found

    @property
    def fingerprint(self) -> str:
        """Data, architecture, training, seed, and the content of files that the card names."""
        card = self.card
        teacher = card.teacher.model_dump(mode="json", exclude={"weights", "start"})
        files = [
            _content("teacher.weights", card.teacher.weights),
            _content("teacher.start", card.teacher.start),
        ]
        code = [self.digests] if self.digests else []
        data = card.data.model_dump(mode="json")
        return digest("teacher", card.task, data, teacher, files, card.seed, card.threads, *code)


def _content(key: str, path: Path | None) -> str | None:
    """A digest of a file that the card names, None where it names none."""
    if path is None:
        return None
    if not path.is_file():
        raise CardError(f"{key}: there is no file {path}")
    return hashlib.sha256(path.read_bytes()).hexdigest()
