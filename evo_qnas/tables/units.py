"""Units of columns and objectives: what the ending of a name says, and the ways in which one unit is written."""

from collections.abc import Mapping
from types import MappingProxyType

# The spellings of each unit, the one that is written first; the keys are endings of names, in small letters.
UNITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "s": ("s",),
        "ms": ("ms",),
        "us": ("us",),
        "bytes": ("bytes", "byte", "B"),
        "kb": ("kB", "KB"),
        "mb": ("MB",),
        "gb": ("GB",),
        "kib": ("KiB",),
        "mib": ("MiB",),
        "gib": ("GiB",),
        "mj": ("mJ",),
        "uj": ("uJ",),
        "mw": ("mW",),
    }
)
# What a plain number has.
PLAIN = "1"
BYTES = UNITS["bytes"]


def unit_of(name: str) -> str:
    """The unit that a column's or objective's name ends with; `1` where it says none.

    Example:
        >>> [unit_of(name) for name in ("memory_mb", "latency_ms@pi4", "max:size_bytes", "score")]
        ['MB', 'ms', 'bytes', '1']
    """
    spellings = spellings_of(name)
    return spellings[0] if spellings else PLAIN


def spellings_of(name: str) -> tuple[str, ...]:
    """The spellings of the unit that a name ends with, the usual one first; empty where the name says none."""
    stem = name.partition("@")[0].lower()
    before, _, ending = stem.rpartition("_")
    return UNITS.get(ending, ()) if before else ()
