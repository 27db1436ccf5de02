"""Examples from live objects: data sets, loaders, streams of batches, arrays, anything indexable.

- `examples_of`: the `Examples` of whatever a user hands over.
- `sources`: collated batches by index, of columns and of items; `spool`: of a stream, kept in files.
- `reading`: from collated batches to inputs and targets; `subset`: some of the examples.
- `content`: digests that change with the data.
"""

from evo_qnas.data.live.opening import examples_of
from evo_qnas.data.live.reading import LiveExamples, Reading, first_part, no_targets, second_part
from evo_qnas.data.live.subset import Subset, drawn_apart

__all__ = [
    "LiveExamples",
    "Reading",
    "Subset",
    "drawn_apart",
    "examples_of",
    "first_part",
    "no_targets",
    "second_part",
]
