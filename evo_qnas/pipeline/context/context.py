"""`RunContext`: one run, and everything that can be built from its settings and its workload."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import joblib
import torch
from torch import nn

from evo_qnas.data import Splits
from evo_qnas.data.nests import Nest
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.candidates.blocks import BlockShape, find_blocks
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.spans import with_blocks
from evo_qnas.networks.checking import LeftOut
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.networks.models.teachers import load_teacher
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.tasks.base import Task
from evo_qnas.pipeline.cards.problem import ProblemCard, Settings
from evo_qnas.pipeline.context.candidates import Candidates, Offers
from evo_qnas.pipeline.context.digests import digest
from evo_qnas.pipeline.context.files import made_from, read_json, to_json
from evo_qnas.pipeline.context.fingerprints import Fingerprints
from evo_qnas.pipeline.context.paths import RunPaths
from evo_qnas.pipeline.context.sources import sources_of
from evo_qnas.pipeline.context.workload import CardWorkload, Workload


@final
@dataclass(frozen=True, kw_only=True)
class RunContext:
    """One run: its settings, workload and folder, and what is built from them; nothing here writes but caches of data.

    Attributes:
        name: name of the card, or of the folder.
        card: the settings; a whole card where the workload comes from it.
        folder: the run folder.
        device: torch device of training.
        live: model, data and task as live objects; None for those that the card names.
    """

    name: str
    card: Settings
    folder: Path
    device: str = "cpu"
    live: Workload | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Worker processes get settings and workload and build the rest: code of a Python card cannot be sent."""
        return _rebuild, (self.name, self.card, self.folder, self.device, self.live)

    @cached_property
    def workload(self) -> Workload:
        """Model, data and task.

        Raises:
            CardError: there are no live ones, and the settings name none.
        """
        if self.live is not None:
            return self.live
        if not isinstance(self.card, ProblemCard):
            raise CardError(f"{self.folder} is a run of a Study: model, data and metric are in the script that made it")
        return CardWorkload(self.card)

    @property
    def description(self) -> Mapping[str, Any]:
        """The content of `card.toml`: settings, and digests of what is live."""
        digests = dict(self.workload.digests)
        return self.card.model_dump(mode="json", exclude_none=True) | ({"workload": digests} if digests else {})

    @cached_property
    def paths(self) -> RunPaths:
        """Paths of its files."""
        return RunPaths(self.folder)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        """Digests of all that its files depend on."""
        offers = self.candidates.offers
        return Fingerprints(card=self.card, workload=self.workload.fingerprint, offers=offers)

    @cached_property
    def candidates(self) -> Candidates:
        """The candidate operators of its blocks."""
        return Candidates(
            card=self.card,
            paths=self.paths,
            offers=Offers(self.card, self._left_out, lambda: self._left_out(floats=True)),
            shape=self.shape,
            own=self._own_block,
            taught=self._taught_block,
            diverged=lambda block, operator: self._diverged(block, operator) is not None,
        )

    @property
    def task(self) -> Task:
        """The task of its networks."""
        return self.workload.task

    @property
    def borrowed(self) -> bool:
        """True where the teacher comes with its weights, which this run does not train."""
        return self.workload.recipe is None

    @property
    def fixed_bits(self) -> Bits:
        """Bits of the fixed part."""
        quantization = self.card.quantization
        return Bits(
            weight=quantization.fixed_weight_bits,
            activation=quantization.fixed_activation_bits,
            keep_float=tuple(quantization.keep_float),
        )

    @cached_property
    def splits(self) -> Splits:
        """The data; what is decoded or spooled is kept in `data/`."""
        return self.workload.splits(self.paths.data, joblib.cpu_count())

    @property
    def facts(self) -> Facts:
        """What networks need beside their numbers: class names and preprocessing."""
        return Facts(classes=self.splits.classes, preprocessing=self.splits.preprocessing)

    @property
    def calibration(self) -> Nest:
        """Inputs of train examples for activation ranges, evenly spread: neighbours in an ordered set look alike."""
        train = self.splits.train
        count = min(len(train), self.card.quantization.calibration_images)
        return train.take(torch.linspace(0, len(train) - 1, count).round().long())[0]

    @property
    def example(self) -> Nest:
        """Inputs of two train examples, for shapes."""
        return self.splits.train.take(slice(0, 2))[0]

    @cached_property
    def teacher(self) -> nn.Module:
        """The trained teacher, from its file in the run folder; each block takes one tensor and gives one."""
        return self._with_blocks(load_teacher(self.workload.new_model(), self.paths.teacher))

    @cached_property
    def shapes(self) -> tuple[BlockShape, ...]:
        """The blocks, found by running the teacher."""
        return find_blocks(self.untrained, self.card.blocks.names, self.example)

    def shape(self, block: str) -> BlockShape:
        """The block called `block`."""
        return next(shape for shape in self.shapes if shape.name == block)

    @cached_property
    def untrained(self) -> nn.Module:
        """A teacher that is not trained yet, for shapes."""
        return self._with_blocks(self.workload.new_model())

    def _with_blocks(self, model: nn.Module) -> nn.Module:
        """A model whose blocks are submodules from tensor to tensor; as it is before they are found."""
        return model if self.card.blocks.found else with_blocks(model, self.card.blocks.names, self.example)

    @cached_property
    def dry_run_fingerprint(self) -> str:
        """A digest of all that the dry run depends on, the source of the model's classes too."""
        offers = Offers(self.card)
        operators = [
            [[name, operator.label, dict(operator.parameters)] for operator in offers.offered(name)]
            for name in self.card.blocks.names
        ]
        settings = self.card.model_dump(mode="json", include={"blocks", "quantization", "latency", "compiled"})
        return digest(
            "dry run",
            self.workload.fingerprint,
            sources_of(self.untrained),
            operators,
            settings,
            {name: runtime.versions() for name, runtime in RUNTIMES.items() if not runtime.missing()},
        )

    def left_out_fingerprint(self, block: str, operator: str) -> str:
        """A digest of all on which it depends whether a candidate learns and is scored."""
        scored = self.card.model_dump(mode="json", include={"quantization", "refinement"})
        return digest("left out", self.fingerprints.candidate(block, operator), scored)

    def leave_out(self, block: str, operator: str, reason: str) -> None:
        """Keeps the reason for which a candidate is left out that did not learn, or whose score is no number."""
        content = {"fingerprint": self.left_out_fingerprint(block, operator), "reason": reason}
        write_text(self.paths.diverged(block, operator), to_json(content))

    @property
    def diverged(self) -> tuple[LeftOut, ...]:
        """The candidates that are left out because they did not learn, or their score is no number."""
        return tuple(
            LeftOut(block=shape.name, operator=operator.label, reason=str(known.get("reason")))
            for shape in self.shapes
            for operator in self.candidates.offers.of(shape.name)
            if (known := self._diverged(shape.name, operator.label)) is not None
        )

    def _left_out(self, *, floats: bool = False) -> dict[str, frozenset[str]]:
        """Per block the operators that the dry run left out, or left out in floats alone.

        Raises:
            CardError: the report of the dry run is damaged.
        """
        found: dict[str, frozenset[str]] = {}
        known = read_json(self.paths.check, self.dry_run_fingerprint) if self.paths.check.is_file() else None
        try:
            for each in () if known is None else known["report"]["left_out"]:
                if bool(each.get("floats")) is not floats:
                    continue
                found[each["block"]] = found.get(each["block"], frozenset()) | {each["operator"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise CardError(f"{self.paths.check} is damaged: delete it and run the card again") from error
        return found

    def _diverged(self, block: str, operator: str) -> dict[str, Any] | None:
        """Content of the file that leaves a candidate out, None where there is none."""
        path = self.paths.diverged(block, operator)
        return read_json(path, self.left_out_fingerprint(block, operator)) if path.is_file() else None

    def _taught_block(self, block: str) -> nn.Module:
        return block_of(self.teacher, block)

    def _own_block(self, block: str) -> nn.Module:
        """The teacher's block; before there is a trained teacher, to check a card, that of a fresh one."""
        trained = "teacher" in vars(self) or made_from(self.paths.teacher, self.fingerprints.teacher)
        return block_of(self.teacher if trained else self.untrained, block)


def _rebuild(name: str, card: Settings, folder: Path, device: str, live: Workload | None) -> RunContext:
    return RunContext(name=name, card=card, folder=folder, device=device, live=live)
