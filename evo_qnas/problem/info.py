"""Names, units and directions of objectives and constraints."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveInfo:
    """Name, unit and direction of one objective; values are minimised inside, signs change at the border only."""

    name: str
    unit: str = "1"
    maximize: bool = False


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ConstraintInfo:
    """Name and unit of one constraint; its value is an excess, met where it is at most 0."""

    name: str
    unit: str = "1"
