"""The number formats in which networks are timed."""

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A number format in which blocks and networks are timed, and its column in tables.

    Attributes:
        name: in names of files and measurements.
        label: as people write it.
        column: of tables.
        quantized: networks have integer codes, so that bits matter, and whole ones are put together from their parts.
        bits: weight and activation bits of everything, where they are the same for all choices.
        shared: which choices share a time, in words.
    """

    name: str
    label: str
    column: str
    quantized: bool
    bits: tuple[int, int] | None
    shared: str

    def timed_at(self, bits: tuple[int, int]) -> tuple[int, int]:
        """Bits at which a choice is timed, from those of `timed_bits`."""
        return self.bits or bits


INT8 = Precision(
    name="int8",
    label="INT8",
    column="latency_ms",
    quantized=True,
    bits=None,
    shared="one time per operator for all weight bits, and for activation bits of 8, of fewer and of floats",
)
FP32 = Precision(
    name="fp32",
    label="FP32",
    column="latency_fp32_ms",
    quantized=False,
    bits=(32, 32),
    shared="one time per operator",
)
