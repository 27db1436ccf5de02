"""Genomes as people read them: a data frame with objectives, limits and what each block became."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError
from evo_qnas.frames import DataFrame, data_frame
from evo_qnas.tables import Tables


def labels_of(tables: Tables | None) -> list[np.ndarray] | None:
    """Per block the text of each choice, `operator w4 a8`; None where the archive has no tables."""
    if tables is None:
        return None
    return [
        np.array(
            [operator + (f" w{w}" if w else "") + (f" a{a}" if a else "") for operator, w, a in block.labels],
            dtype=object,
        )
        for block in tables.blocks
    ]


def words_of(tables: Tables | None, genomes: Int[np.ndarray, "n blocks"]) -> list[Int[np.ndarray, " n"] | np.ndarray]:
    """Per block what its choice is in each genome: its text, or its index where there are no tables.

    Raises:
        ArchiveError: a genome is none of the tables'.
    """
    labels = labels_of(tables)
    if labels is None:
        return list(genomes.T)
    counts = np.array([len(texts) for texts in labels])
    if genomes.shape[1] != len(counts) or (genomes < 0).any() or (genomes >= counts).any():
        raise ArchiveError("the archive is damaged: it has genomes that are none of its tables'")
    return [texts[genomes[:, block]] for block, texts in enumerate(labels)]


def frame_of(
    header: Header,
    tables: Tables | None,
    genomes: Int[np.ndarray, "n blocks"],
    objectives: Float[np.ndarray, "n m"],
    constraints: Float[np.ndarray, "n k"],
    **first: np.ndarray,
) -> DataFrame:
    """One row per network: `first`, the objectives, the limits' excesses, then each block's choice in words.

    A name that is used already gets a suffix, ` (excess)` for limits and ` (choice)` for blocks.
    """
    columns: dict[str, Any] = dict(first)
    for index, info in enumerate(header.objectives):
        columns[_free(info.name, columns, "objective")] = objectives[:, index]
    for index, limit in enumerate(header.constraints):
        columns[_free(limit.name, columns, "excess")] = constraints[:, index]
    for name, words in zip(header.blocks, words_of(tables, genomes), strict=True):
        columns[_free(name, columns, "choice")] = words
    return data_frame(columns)


def _free(name: str, used: dict[str, Any], suffix: str) -> str:
    """A column name that is not used yet."""
    chosen, count = name, 1
    while chosen in used:
        count += 1
        chosen = f"{name} ({suffix})" if count == 2 else f"{name} ({suffix} {count})"
    return chosen
