"""`RunContext`: one run, and everything that can be built from its card alone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import joblib
import torch
from torch import nn

from evo_qnas.data import Splits, load_splits
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.tasks.base import TASKS, Task
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.pipeline.context.candidates import Candidates, Offers
from evo_qnas.pipeline.context.digests import seed_of
from evo_qnas.pipeline.context.files import made_from
from evo_qnas.pipeline.context.fingerprints import Fingerprints
from evo_qnas.pipeline.context.paths import RunPaths


@final
@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One run: its card, its folder, and what is built from them; nothing here writes but the cache of images.

    Attributes:
        name: name of the card.
        card: the resolved card.
        folder: the run folder.
        device: torch device of training.
    """

    name: str
    card: ProblemCard
    folder: Path
    device: str = "cpu"

    def __reduce__(self) -> tuple[Any, ...]:
        """Worker processes get the card and build the rest: code of a Python card cannot be sent."""
        return _rebuild, (self.name, self.card, self.folder, self.device)

    @cached_property
    def paths(self) -> RunPaths:
        """Paths of its files."""
        return RunPaths(self.folder)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Digests of all that its files depend on."""
        return Fingerprints(card=self.card, offers=self.candidates.offers)

    @cached_property
    def candidates(self) -> Candidates:
        """The candidate operators of its blocks."""
        return Candidates(
            card=self.card,
            paths=self.paths,
            offers=Offers(self.card),
            shape=self.shape,
            own=self._own_block,
            taught=self._taught_block,
        )

    @property
    def task(self) -> Task:
        """The task of its networks."""
        return TASKS.get(self.card.task)

    @property
    def fixed_bits(self) -> Bits:
        """Bits of the fixed part."""
        quantization = self.card.quantization
        return Bits(weight=quantization.fixed_weight_bits, activation=quantization.fixed_activation_bits)

    @cached_property
    def splits(self) -> Splits:
        """The images; decoded ones are kept in `data/`."""
        return load_splits(self.card.data, cache=self.paths.data, jobs=joblib.cpu_count())

    @property
    def calibration(self) -> torch.Tensor:
        """Train images for activation ranges, evenly spread: neighbours in an ordered set look alike."""
        train = self.splits.train
        count = min(len(train), self.card.quantization.calibration_images)
        return train.take(torch.linspace(0, len(train) - 1, count).round().long())[0]

    @property
    def example(self) -> torch.Tensor:
        """Two normalised train images, for shapes."""
        return self.splits.train.take(slice(0, 2))[0]

    def new_teacher(self) -> nn.Module:
        """The teacher with fresh weights drawn from the card's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("teacher", self.card.seed))
            return build_teacher(self.card.teacher.architecture, self.card.teacher.parameters)

    @cached_property
    def teacher(self) -> nn.Module:
        """The trained teacher, from its file in the run folder."""
        return load_teacher(self.new_teacher(), self.paths.teacher)

    @cached_property
    def shapes(self) -> tuple[BlockShape, ...]:
        """The blocks, found by running the teacher."""
        return find_blocks(self.untrained, self.card.blocks.names, self.example)

    def shape(self, block: str) -> BlockShape:
        """The block called `block`."""
        return next(shape for shape in self.shapes if shape.name == block)

    @cached_property
    def untrained(self) -> nn.Module:
        """A teacher with fresh weights, for shapes."""
        return self.new_teacher()

    def _taught_block(self, block: str) -> nn.Module:
        return self.teacher.get_submodule(block)

    def _own_block(self, block: str) -> nn.Module:
        """The teacher's block; before there is a trained teacher, to check a card, that of a fresh one."""
        trained = "teacher" in vars(self) or made_from(self.paths.teacher, self.fingerprints.teacher)
        return (self.teacher if trained else self.untrained).get_submodule(block)


def _rebuild(name: str, card: ProblemCard, folder: Path, device: str) -> RunContext:
    return RunContext(name=name, card=card, folder=folder, device=device)
