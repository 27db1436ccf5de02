"""Streams of batches kept in memory-mapped files, within a budget."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from evo_qnas.data.live.content import content_of
from evo_qnas.data.live.reading import Reading
from evo_qnas.data.live.sources import Columns
from evo_qnas.errors import DataError
from evo_qnas.files import write_text
from evo_qnas.fingerprints import digest

# Rows of `(inputs, targets)` as they are read back.
SPOOLED = Reading(inputs=lambda batch: batch[0], targets=lambda batch: batch[1])


def spooled(stream: Iterable[Any], reading: Reading, folder: Path, *, budget_bytes: int) -> Columns:
    """What a stream of batches gives in one pass, as mapped files below `folder`; a finished spool is used again.

    Args:
        stream: gives the same batches each time it is iterated.
        reading: of its batches; what is read is stored.
        folder: where files go.
        budget_bytes: most that they may take.

    Raises:
        DataError: the stream is empty, its examples are no tensors of one shape, or they take more than the budget.
    """
    first = next(iter(stream), None)
    if first is None:
        raise DataError("the stream of batches is empty")
    mark = digest([content_of(pytree.tree_leaves(reading.read(first))), digest(reading), digest(stream)])
    place = folder / f"spool-{mark[:16]}"
    if not (place / "done.json").is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _write(stream, reading, place, budget_bytes)
    known = json.loads((place / "done.json").read_text(encoding="utf-8"))
    columns = [
        torch.from_file(str(place / f"{index}.bin"), size=int(np.prod(shape)), dtype=getattr(torch, kind)).view(*shape)
        for index, (shape, kind) in enumerate(known["columns"])
    ]
    return Columns(pytree.tree_unflatten(columns, pytree.treespec_loads(known["spec"])))


def _write(stream: Iterable[Any], reading: Reading, place: Path, budget_bytes: int) -> None:
    """Writes every leaf of what is read to a file of its own."""
    written, counts, kinds, spec = 0, list[int](), list[tuple[tuple[int, ...], str]](), None
    for batch in stream:
        values, here = pytree.tree_flatten(reading.read(batch))
        shapes = [_kind(value) for value in values]
        if spec is None:
            spec, kinds, counts = here, shapes, [0] * len(values)
        if here != spec or shapes != kinds:
            raise DataError(
                f"examples of a stream must have one shape, got {shapes} after {kinds}: hand over the data set itself, "
                "or make them alike"
            )
        written += sum(value.nbytes for value in values)
        if written > budget_bytes:
            raise DataError(
                f"the stream takes more than spool_gib = {budget_bytes / 2**30:g} on disk: raise it, or hand over a "
                "data set with len and [index], of which nothing is copied"
            )
        for index, value in enumerate(values):
            counts[index] += len(value)
            with (place / f"{index}.bin").open("ab") as file:
                file.write(value.contiguous().view(torch.uint8).numpy().tobytes())
    if spec is not None:
        columns = [((count, *shape), kind) for count, (shape, kind) in zip(counts, kinds, strict=True)]
        write_text(place / "done.json", json.dumps({"columns": columns, "spec": pytree.treespec_dumps(spec)}))


def _kind(value: Any) -> tuple[tuple[int, ...], str]:
    """Shape of an example and type of its numbers."""
    if not isinstance(value, torch.Tensor):
        raise DataError(f"a stream must give tensors, got {type(value).__name__}: hand over the data set itself")
    return tuple(value.shape[1:]), str(value.dtype).removeprefix("torch.")
