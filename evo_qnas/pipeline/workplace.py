"""A run folder: what is built from the card in every process, where files lie, and what they were made from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import joblib
import torch
from torch import nn

from evo_qnas.data import Splits, load_splits
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.operators import TEACHER, Operator, build_candidate, load_operators
from evo_qnas.networks.models.teachers import build_teacher, load_teacher
from evo_qnas.networks.models.weights import load_weights, read_metadata
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.scoring.local import SCORING
from evo_qnas.networks.tasks.base import TASKS, Task
from evo_qnas.pipeline.cards.problem import ProblemCard


def digest(*parts: object) -> str:
    """A hex digest of JSON-able values, the same in every process."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def seed_of(*parts: object) -> int:
    """A 63-bit seed drawn from JSON-able values, so that no two uses share a random stream."""
    return int(digest(*parts)[:15], 16)


@final
@dataclass(frozen=True, kw_only=True)
class Workplace:
    """One run: its card, its folder, and everything that can be built from them alone.

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
    def splits(self) -> Splits:
        """The images; decoded ones are kept in `data/`."""
        return load_splits(self.card.data, cache=self.folder / "data", jobs=joblib.cpu_count())

    @property
    def fixed_bits(self) -> Bits:
        """Bits of the fixed part."""
        quantization = self.card.quantization
        return Bits(weight=quantization.fixed_weight_bits, activation=quantization.fixed_activation_bits)

    @property
    def task(self) -> Task:
        """What the networks are for."""
        return TASKS.get(self.card.task)

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

    @cached_property
    def teacher_fingerprint(self) -> str:
        """What the teacher's weights depend on."""
        content = _content("teacher.weights", self.card.teacher.weights)
        start = _content("teacher.start", self.card.teacher.start)
        data = self.card.data.model_dump(mode="json")
        teacher = self.card.teacher.model_dump(mode="json", exclude={"weights", "start"})
        # Plain settings are those of runs before there were others.
        for name, plain in (("full_size", None), ("precision", "float32")):
            if teacher["training"][name] == plain:
                del teacher["training"][name]
        further = [] if start is None else [start]
        return digest("teacher", data, teacher, content, self.card.seed, self.card.threads, *further)

    @property
    def teacher_path(self) -> Path:
        """`teacher.safetensors`."""
        return self.folder / "teacher.safetensors"

    def new_teacher(self) -> nn.Module:
        """The teacher with fresh weights drawn from the card's seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of("teacher", self.card.seed))
            return build_teacher(self.card.teacher.architecture, self.card.teacher.parameters)

    @cached_property
    def teacher(self) -> nn.Module:
        """The trained teacher, from its file in the run folder."""
        return load_teacher(self.new_teacher(), self.teacher_path)

    @cached_property
    def shapes(self) -> tuple[BlockShape, ...]:
        """The blocks, found by running the teacher."""
        return find_blocks(self.new_teacher(), self.card.blocks.names, self.example)

    def shape(self, block: str) -> BlockShape:
        """The block called `block`."""
        return next(shape for shape in self.shapes if shape.name == block)

    @cached_property
    def operators(self) -> tuple[Operator, ...]:
        """The candidate operators of the card, without the teacher's own blocks."""
        found: dict[str, Operator] = {}
        for use in self.card.operators:
            for operator in load_operators(use.card, use.parameters):
                found.setdefault(operator.label, operator)
        if not found:
            raise CardError(
                "the card has no [[operators]]: name at least one operator card, see evo-qnas list operators"
            )
        if TEACHER in found:
            raise CardError(f"an operator card gives the label {TEACHER!r}, which names the teacher's own block")
        return tuple(found.values())

    def offered(self, block: str) -> tuple[Operator, ...]:
        """The candidate operators that the card offers for a block, whether they fit or not."""
        labels = {
            operator.label
            for use in self.card.operators
            if not use.blocks or block in use.blocks
            for operator in load_operators(use.card, use.parameters)
        }
        return tuple(operator for operator in self.operators if operator.label in labels)

    def candidates(self, block: str) -> dict[str, nn.Module]:
        """Candidates of a block before they learn, by name; operators that do not fit its shapes are left out.

        Before the teacher is there, to check a card, what they take from it is taken from a fresh one.
        """
        made = {}
        taught = made_from(self.teacher_path, self.teacher_fingerprint)
        own = (self.teacher if taught else self.new_teacher()).get_submodule(block)
        for operator in self.offered(block):
            seed = seed_of("candidate", self.card.seed, block, operator.label)
            module = build_candidate(
                operator, self.shape(block), seed=seed, block=own, inherited=self.card.distillation.inherit
            )
            if module is not None:
                made[operator.label] = module
        return made

    def candidate_path(self, block: str, operator: str) -> Path:
        """Where the trained candidate lies."""
        return self.folder / "blocks" / block / f"{operator}.safetensors"

    def candidate_fingerprint(self, block: str, operator: str) -> str:
        """What a candidate's weights depend on."""
        parameters = next(dict(o.parameters) for o in self.operators if o.label == operator)
        # Where features lie changes nothing, and plain settings are those of runs before there were others.
        distillation = self.card.distillation
        settings = distillation.model_dump(mode="json", exclude={"features", "precision", "inherit"})
        if distillation.inherit:
            settings["inherit"] = True
        if distillation.precision != "float32" or distillation.features.dtype != "float32":
            settings |= {"precision": distillation.precision, "features": distillation.features.dtype}
        return digest("candidate", self.teacher_fingerprint, block, operator, parameters, settings)

    def trained(self, block: str, operator: str) -> nn.Module:
        """A trained candidate, or the teacher's own block."""
        if operator == TEACHER:
            return self.teacher.get_submodule(block)
        chosen = next(o for o in self.operators if o.label == operator)
        module = build_candidate(chosen, self.shape(block), seed=0, block=self.teacher.get_submodule(block))
        if module is None:
            raise CardError(f"operator {operator!r} does not fit block {block!r}")
        if list(module.parameters()):
            module.load_state_dict(load_weights(self.candidate_path(block, operator))[0])
        return module.eval()

    @cached_property
    def tables_fingerprint(self) -> str:
        """What the tables depend on."""
        return self._scored("tables", [shape.name for shape in self.shapes])

    def scores_fingerprint(self, block: str) -> str:
        """What the scores of one block depend on; the candidates of other blocks are no part of it."""
        return self._scored("scores", [block])

    def _scored(self, what: str, blocks: Sequence[str]) -> str:
        """What the scores of these blocks depend on."""
        quantization = self.card.quantization.model_dump(mode="json")
        parts = [
            self.candidate_fingerprint(block, operator.label) for block in blocks for operator in self.offered(block)
        ]
        refinement = self.card.refinement
        further = [] if refinement is None else [refinement.model_dump(mode="json")]
        return digest(what, SCORING, self.teacher_fingerprint, parts, quantization, *further)


def _content(key: str, path: Path | None) -> str | None:
    """A digest of a file that the card names, None where it names none."""
    if path is None:
        return None
    if not path.is_file():
        raise CardError(f"{key}: there is no file {path}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rebuild(name: str, card: ProblemCard, folder: Path, device: str) -> Workplace:
    return Workplace(name=name, card=card, folder=folder, device=device)


def made_from(path: Path, fingerprint: str) -> bool:
    """Whether a safetensors file is there, readable, and made from what `fingerprint` stands for."""
    metadata = read_metadata(path) if path.is_file() else None
    return metadata is not None and metadata.get("fingerprint") == fingerprint


def read_json(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The content of a JSON file of ours made from what `fingerprint` stands for, else None."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    good = isinstance(content, dict) and content.get("fingerprint") == fingerprint
    return content if good else None


def to_json(content: Mapping[str, Any]) -> str:
    """JSON text of ours: readable, ends with a line end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
