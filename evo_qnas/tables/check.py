"""Oddities of tables: rules that name what a person would want to know before a search."""

from collections import Counter
from collections.abc import Callable, Iterator

import moocore
import numpy as np
from jaxtyping import Bool

from evo_qnas.tables.content import Content
from evo_qnas.tables.findings import Finding
from evo_qnas.tables.parts import Block, Column
from evo_qnas.tables.units import spellings_of

# Words in the names of columns that count something.
_COSTS = ("size", "macs", "flops", "bops", "bit_operations", "latency", "energy", "param", "memory")

# moocore compares points of at most so many numbers.
_MOST_COLUMNS = 255


def check_content(content: Content) -> list[Finding]:
    """All findings, errors first.

    Example:
        >>> from evo_qnas.tables import Tables
        >>> tables = Tables.from_arrays({"score": [np.array([1.0, np.nan])]})
        >>> [finding.text for finding in check_content(tables.content)]
        ["column 'score' has 1 NaN, first block 'block0', choice choice1 0/0: measure it or drop it (drop_nan)"]
    """
    findings = [finding for rule in _RULES for finding in rule(content)]
    return sorted(findings, key=lambda finding: ("error", "warning", "info").index(finding.severity))


def _label(block: Block, choice: int) -> str:
    operator, weights, activations = block.labels[choice]
    return f"{operator} {weights}/{activations}"


def _marked(content: Content, marks: list[Bool[np.ndarray, " _"]]) -> tuple[int, str]:
    """The number of choices that are marked, and the first one in words."""
    for block, mark in zip(content.blocks, marks, strict=True):
        if mark.any():
            total = sum(int(mark.sum()) for mark in marks)
            return total, f"block {block.name!r}, choice {_label(block, int(np.argmax(mark)))}"
    return 0, ""


def _not_a_number(content: Content) -> Iterator[Finding]:
    for column in content.columns.values():
        total, first = _marked(content, [np.isnan(values) for values in column.values])
        if total:
            text = f"column {column.name!r} has {total} NaN, first {first}: measure it or drop it (drop_nan)"
            yield Finding(severity="error", rule="nan", text=text)


def _infinite(content: Content) -> Iterator[Finding]:
    for column in content.columns.values():
        total, first = _marked(content, [np.isinf(values) for values in column.values])
        if total or not np.isfinite(column.fixed):
            where = f"{total} infinite values, first {first}" if total else f"the fixed part {column.fixed}"
            yield Finding(severity="error", rule="infinite", text=f"column {column.name!r} has {where}")


def _negative_cost(content: Content) -> Iterator[Finding]:
    for column in content.columns.values():
        if not _is_cost(column):
            continue
        total, first = _marked(content, [values < 0 for values in column.values])
        if total or column.fixed < 0:
            where = f"{total} negative values, first {first}" if total else f"the negative fixed part {column.fixed}"
            yield Finding(severity="error", rule="negative-cost", text=f"cost column {column.name!r} has {where}")


def _is_cost(column: Column) -> bool:
    """True for a column that counts something that cannot be below nothing; scores may be negative."""
    return column.direction == "minimize" and any(word in column.name.lower() for word in _COSTS)


def _bad_stderr(content: Content) -> Iterator[Finding]:
    for column in content.columns.values():
        if column.stderr is None:
            continue
        total, first = _marked(content, [~(errors >= 0) for errors in column.stderr])
        if total:
            text = f"column {column.name!r} has {total} standard errors that are negative or NaN, first {first}"
            yield Finding(severity="warning", rule="standard-error", text=text)


def _units(content: Content) -> Iterator[Finding]:
    for column in content.columns.values():
        spellings = spellings_of(column.name)
        if spellings and column.unit not in spellings:
            text = f"column {column.name!r} has the unit {column.unit!r}, its name says {spellings[0]!r}"
            yield Finding(severity="warning", rule="unit", text=text)


def _duplicates(content: Content) -> Iterator[Finding]:
    for block in content.blocks:
        label, count = Counter(block.labels).most_common(1)[0]
        if count > 1:
            text = f"block {block.name!r} has the choice {label[0]} {label[1]}/{label[2]} {count} times"
            yield Finding(severity="error", rule="duplicate-choice", text=text)


def _missing(content: Content) -> Iterator[Finding]:
    blocks, total, first = 0, 0, ""
    for block in content.blocks:
        labels = set(block.labels)
        bits = sorted({label[1:] for label in labels})
        grid = [(operator, *pair) for operator in dict.fromkeys(block.operators) for pair in bits]
        gone = [label for label in grid if label not in labels]
        if gone:
            first = first or f"block {block.name!r}: {gone[0][0]} {gone[0][1]}/{gone[0][2]}"
            blocks, total = blocks + 1, total + len(gone)
    if total:
        text = f"{blocks} blocks have no choice for {total} pairs of their operators and bits, first {first}"
        yield Finding(severity="warning", rule="missing-choice", text=text)


def _fewer_bits_better(content: Content) -> Iterator[Finding]:
    """Choices whose score says that fewer bits do less harm; noise within two standard errors does not count."""
    for column in content.columns.values():
        if "score" not in column.name.lower():
            continue
        marks = [_beaten_by_fewer_bits(block, column, i) for i, block in enumerate(content.blocks)]
        total, first = _marked(content, marks)
        if total:
            text = (
                f"column {column.name!r}: {total} choices score worse than the same operator with fewer bits, "
                f"first {first}"
            )
            yield Finding(severity="warning", rule="fewer-bits-better", text=text)


def _beaten_by_fewer_bits(block: Block, column: Column, index: int) -> Bool[np.ndarray, " choices"]:
    """(choices,) marks of the choices that a choice with fewer bits beats."""
    sign = -1.0 if column.direction == "maximize" else 1.0
    score = sign * column.values[index]
    names = np.array(block.operators)
    weights, activations = block.weight_bits, block.activation_bits
    fewer = (weights <= weights[:, None]) & (activations <= activations[:, None])
    fewer &= weights + activations < (weights + activations)[:, None]
    noise = np.zeros((len(block), len(block)))
    if column.stderr is not None:
        variance = np.nan_to_num(column.stderr[index]) ** 2
        noise = 2.0 * np.sqrt(variance + variance[:, None])
    beaten: np.ndarray = (fewer & (names == names[:, None]) & (score < score[:, None] - noise)).any(axis=1)
    return beaten


def _dominated(content: Content) -> Iterator[Finding]:
    columns = list(content.columns.values())
    if not 2 <= len(columns) <= _MOST_COLUMNS:
        return
    marks = []
    for index in range(len(content.blocks)):
        signs = [-1.0 if column.direction == "maximize" else 1.0 for column in columns]
        points = [sign * column.values[index] for sign, column in zip(signs, columns, strict=True)]
        # NaN would dominate everything in moocore.
        values = np.nan_to_num(np.stack(points, axis=1), nan=np.inf)
        marks.append(~np.asarray(moocore.is_nondominated(values, keep_weakly=True), dtype=bool))
    total, first = _marked(content, marks)
    if total:
        text = (
            f"{total} of {int(content.choices.sum())} choices are dominated: another choice of the block is no worse "
            f"in every column and better in one, first {first}"
        )
        yield Finding(severity="info", rule="dominated-choice", text=text)


def _counts(content: Content) -> Iterator[Finding]:
    low, high = int(content.choices.min()), int(content.choices.max())
    if low != high:
        text = f"blocks have between {low} and {high} choices"
        yield Finding(severity="info", rule="unequal-counts", text=text)


def _alike(content: Content) -> Iterator[Finding]:
    for what, names in (("columns", list(content.columns)), ("blocks", list(content.names))):
        names_by_text: dict[str, str] = {}
        for name in names:
            plain = "".join(name.lower().split())
            if plain in names_by_text:
                text = f"the {what} {names_by_text[plain]!r} and {name!r} differ in case or spaces only"
                yield Finding(severity="warning", rule="duplicate-name", text=text)
            names_by_text[plain] = name


def _ties(content: Content) -> Iterator[Finding]:
    by_name = {block.name: set(block.labels) for block in content.blocks}
    for tie in content.ties:
        if tie and not set.intersection(*(by_name[name] for name in tie)):
            text = f"the tied blocks {', '.join(tie)} have no choice in common"
            yield Finding(severity="error", rule="tie", text=text)


_RULES: tuple[Callable[[Content], Iterator[Finding]], ...] = (
    _duplicates,
    _not_a_number,
    _infinite,
    _negative_cost,
    _ties,
    _missing,
    _bad_stderr,
    _units,
    _fewer_bits_better,
    _alike,
    _dominated,
    _counts,
)
