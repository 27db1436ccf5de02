"""Damaged inputs of every reader, made from good ones by a seed.

- `values`: hostile numbers and texts, damage of JSON, TOML and bytes.
- `tables`, `networks`, `images`, `runs`, `others`: the readers, with good files and damage that fits their structure.
- `reader`: what a reader is to the fuzzer, and the verdict on one case.
"""

from benchmarks.fuzzing.images import IMAGE_READERS
from benchmarks.fuzzing.networks import NETWORK_READERS
from benchmarks.fuzzing.others import OTHER_READERS
from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.runs import RUN_READERS
from benchmarks.fuzzing.tables import TABLE_READERS

READERS: dict[str, Reader] = {
    reader.name: reader for reader in (*TABLE_READERS, *NETWORK_READERS, *IMAGE_READERS, *RUN_READERS, *OTHER_READERS)
}

__all__ = ["READERS", "Reader"]
