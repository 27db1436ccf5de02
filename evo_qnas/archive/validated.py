"""`Validated`: a network of the archive that was trained and measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from evo_qnas.archive.pickling import reduced


@final
@dataclass(frozen=True, kw_only=True)
class Validated:
    """A network that was assembled, trained and measured.

    Attributes:
        id: its name in the run's folder, unique within the archive.
        genome: (blocks,) choice indices.
        before: measured values by name before fine-tuning.
        after: measured values by name after fine-tuning.
        files: names of its files by what they are (`onnx`, `weights`, ...).
    """

    id: str
    genome: tuple[int, ...]
    before: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    after: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes: read-only mappings cannot be pickled."""
        return reduced(self)
