"""Genomes as people read them: a data frame with objectives, limits and what each block became."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError
from evo_qnas.frames import DataFrame, data_frame
from evo_qnas.spaces import parse_limit
from evo_qnas.spaces.limits import is_limit
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


def words_of(
    header: Header, tables: Tables | None, genomes: Int[np.ndarray, "n blocks"]
) -> list[Int[np.ndarray, " n"] | np.ndarray]:
    """Per block what its choice is in each genome: its text, its value, or its index where neither is known.

    Raises:
        ArchiveError: a genome is none of the tables'.
    """
    labels = labels_of(tables)
    if labels is None:
        return _values_of(header, genomes)
    counts = np.array([len(texts) for texts in labels])
    if genomes.shape[1] != len(counts) or (genomes < 0).any() or (genomes >= counts).any():
        raise ArchiveError("the archive is damaged: it has genomes that are none of its tables'")
    return [texts[genomes[:, block]] for block, texts in enumerate(labels)]


def genomes_of_words(
    description: Mapping[str, Any], tables: Tables | None, blocks: Sequence[str], words: Sequence[np.ndarray]
) -> Int[np.ndarray, "n blocks"]:
    """Genomes of what each block's choice is, as `words_of` gives it: texts, values, or indices.

    Args:
        description: of the problem.
        tables: of the problem, or None.
        blocks: names of the blocks.
        words: per block the choice of each network.

    Raises:
        ArchiveError: a choice is none of its block's.
    """
    labels = labels_of(tables)
    values = description.get("values") if labels is None and description.get("kind") == "values" else None
    columns = []
    for at, (name, column) in enumerate(zip(blocks, words, strict=True)):
        known: dict[Any, int] = {}
        if labels is not None:
            known = {str(text): choice for choice, text in reversed(list(enumerate(labels[at])))}
        elif values is not None and isinstance(values[at], dict):
            first, last = int(values[at]["first"]), int(values[at]["last"])
            known = {number: number - first for number in range(first, last + 1)}
        elif values is not None:
            known = {value: choice for choice, value in reversed(list(enumerate(values[at])))}
        columns.append([_choice(name, word, known) for word in column.tolist()])
    return np.array(columns, dtype=np.int64).T.reshape(-1, len(blocks))


def _choice(name: str, word: Any, known: Mapping[Any, int]) -> int:
    """The index of a choice, from its word or value, else from the index itself."""
    if word in known:
        return known[word]
    if isinstance(word, int) or (isinstance(word, float) and word.is_integer()):
        return int(word)
    raise ArchiveError(f"block {name!r} has no choice {word!r}; there are: {', '.join(map(str, list(known)[:10]))}")


def _values_of(header: Header, genomes: Int[np.ndarray, "n blocks"]) -> list[np.ndarray]:
    """Per block the value of its choice, as a problem of pymoo describes them; else its index."""
    described = header.problem.get("values") if header.problem.get("kind") == "values" else None
    if described is None:
        return list(genomes.T)
    try:
        return [_value_of(values, column) for values, column in zip(described, genomes.T, strict=True)]
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise ArchiveError(f"the archive is damaged: its choices have no values ({error})") from error


def _value_of(values: Any, column: Int[np.ndarray, " n"]) -> np.ndarray:
    """The values of choices, of a range of integers or a list."""
    if isinstance(values, dict):
        numbers: np.ndarray = column + int(values["first"])
        return numbers
    if (column < 0).any():
        raise IndexError("a choice is below 0")
    return np.array([values[choice] for choice in column.tolist()], dtype=object)


def frame_of(
    header: Header,
    tables: Tables | None,
    genomes: Int[np.ndarray, "n blocks"],
    objectives: Float[np.ndarray, "n m"],
    constraints: Float[np.ndarray, "n k"],
    **first: np.ndarray,
) -> DataFrame:
    """One row per network: `first`, the objectives, limits' excesses and columns, each block's choice in words.

    A name that is used already gets a suffix, ` (excess)` for limits and ` (choice)` for blocks.
    """
    columns: dict[str, Any] = dict(first)
    for index, info in enumerate(header.objectives):
        columns[_free(info.name, columns, "objective")] = objectives[:, index]
    for index, limit in enumerate(header.constraints):
        columns[_free(limit.name, columns, "excess")] = constraints[:, index]
    for name, values in _limited(header, tables, genomes).items():
        columns[_free(name, columns, "limited")] = values
    for name, words in zip(header.blocks, words_of(header, tables, genomes), strict=True):
        columns[_free(name, columns, "choice")] = words
    return data_frame(columns)


def _limited(header: Header, tables: Tables | None, genomes: Int[np.ndarray, "n blocks"]) -> dict[str, np.ndarray]:
    """The values of the tables' columns that are limited and no objectives."""
    if tables is None:
        return {}
    objectives = {info.name for info in header.objectives}
    names = [parse_limit(info.name).name for info in header.constraints if is_limit(info.name)]
    shown = [name for name in dict.fromkeys(names) if name in tables.columns and name not in objectives]
    return {name: tables.total(name, genomes) for name in shown}


def _free(name: str, used: dict[str, Any], suffix: str) -> str:
    """A column name that is not used yet."""
    chosen, count = name, 1
    while chosen in used:
        count += 1
        chosen = f"{name} ({suffix})" if count == 2 else f"{name} ({suffix} {count})"
    return chosen
