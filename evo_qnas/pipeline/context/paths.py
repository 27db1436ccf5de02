"""The layout of a run folder, in one place."""

from dataclasses import dataclass
from pathlib import Path
from typing import final

OUTCOMES = "outcomes.safetensors"


@final
@dataclass(frozen=True, slots=True)
class RunPaths:
    """Paths of the files of a run.

    Attributes:
        folder: the run folder.
    """

    folder: Path

    @property
    def card(self) -> Path:
        """The resolved card."""
        return self.folder / "card.toml"

    @property
    def stages(self) -> Path:
        """Fingerprints of the stages, by name."""
        return self.folder / "stages.json"

    @property
    def check(self) -> Path:
        """What the dry run found."""
        return self.folder / "check.json"

    @property
    def seconds(self) -> Path:
        """Seconds of the stages, by name."""
        return self.folder / "seconds.json"

    @property
    def data(self) -> Path:
        """Decoded images; may be deleted at any time."""
        return self.folder / "data"

    @property
    def features(self) -> Path:
        """The teacher's feature maps while blocks are worked on."""
        return self.folder / "features"

    @property
    def teacher(self) -> Path:
        """Weights of the teacher."""
        return self.folder / "teacher.safetensors"

    @property
    def checkpoint(self) -> Path:
        """The state of a teacher's training that is not finished."""
        return self.folder / "teacher.checkpoint.safetensors"

    @property
    def tables(self) -> Path:
        """Scores and costs of every choice."""
        return self.folder / "tables.h5"

    @property
    def tables_stamp(self) -> Path:
        """The fingerprint of `tables`."""
        return self.folder / "blocks" / "tables.json"

    def candidate(self, block: str, operator: str) -> Path:
        """Weights of a trained candidate."""
        return self.folder / "blocks" / block / f"{operator}.safetensors"

    def diverged(self, block: str, operator: str) -> Path:
        """The reason for which a candidate is left out that did not learn."""
        return self.folder / "blocks" / block / f"{operator}.left-out.json"

    def refined(self, block: str, operator: str, bits: int) -> Path:
        """Weights of an operator refined for some weight bits."""
        return self.folder / "blocks" / block / "refined" / f"{operator}-w{bits}.safetensors"

    def choices(self, block: str) -> Path:
        """Scores and costs of a block's choices."""
        return self.folder / "blocks" / block / "choices.json"

    def in_context(self, block: str) -> Path:
        """In-context scores of a block's choices."""
        return self.folder / "blocks" / block / "in_context.json"

    @property
    def latency(self) -> Path:
        """Files and rounds of a latency measurement."""
        return self.folder / "latency"

    @property
    def compiled(self) -> Path:
        """Compilers' accounts of blocks and networks."""
        return self.folder / "compiled"

    def archive(self, search: str = "") -> Path:
        """The archive of the main search, or of a further one."""
        return self.folder / (f"archive-{search}.h5" if search else "archive.h5")

    @property
    def networks(self) -> Path:
        """One folder for each validated network, by id."""
        return self.folder / "networks"

    def network(self, identity: str) -> Path:
        """The folder of a validated network."""
        return self.networks / identity

    @property
    def summary(self) -> Path:
        """Results of the run."""
        return self.folder / "summary.json"
