"""The genome space of tables under ties, pins and forbidden choices."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evo_qnas.errors import ProblemError
from evo_qnas.spaces import Gene, Space
from evo_qnas.tables import Tables

Label = tuple[str, int, int]
Pins = Mapping[str, Mapping[str, Any]]

_KEYS = ("operator", "weight_bits", "activation_bits")


def space_of(
    tables: Tables, *, ties: Sequence[Sequence[str]] = (), pins: Pins | None = None, forbidden: Pins | None = None
) -> Space:
    """The space of the genomes that ties, pins and forbidden choices leave.

    Args:
        tables: blocks and their choices.
        ties: groups of block names that take one choice, the same (operator, weight bits, activation bits); groups that
            share a block are one group. Ties of the tables hold as well.
        pins: per block, values (one or a list) that `operator`, `weight_bits` or `activation_bits` must have.
        forbidden: per block, values that exclude a choice where all of the given keys match.

    Raises:
        ProblemError: a block or key is unknown, or nothing is left to choose.
    """
    allowed = [_allowed(tables, index, pins or {}, forbidden or {}) for index in range(len(tables.blocks))]
    for rules in (pins or {}, forbidden or {}):
        for name in rules:
            if name not in tables.names:
                raise ProblemError(f"there is no block {name!r} to pin or forbid; there are: {', '.join(tables.names)}")
    codes = {name: code for code, name in enumerate(sorted({o for b in tables.blocks for o in b.operators}))}
    genes = [_gene(tables, group, allowed, codes) for group in _groups(tables, [*tables.ties, *ties])]
    return Space(blocks=tables.names, choices=tables.choices, genes=tuple(genes))


def _groups(tables: Tables, ties: Sequence[Sequence[str]]) -> list[list[int]]:
    """Blocks that share a gene, in network order of their first block."""
    leader = list(range(len(tables.blocks)))

    def find(block: int) -> int:
        while leader[block] != block:
            block = leader[block]
        return block

    for tie in ties:
        for name in tie:
            if name not in tables.names:
                raise ProblemError(f"the tie {list(tie)} names {name!r}; there are: {', '.join(tables.names)}")
        members = [tables.names.index(name) for name in tie]
        for member in members[1:]:
            one, other = sorted((find(members[0]), find(member)))
            leader[other] = one
    roots = [find(block) for block in range(len(tables.blocks))]
    return [[block for block, root in enumerate(roots) if root == first] for first in sorted(set(roots))]


def _allowed(tables: Tables, index: int, pins: Pins, forbidden: Pins) -> list[int]:
    """Choice indices of a block that pins and forbidden choices leave."""
    block = tables.blocks[index]
    pin, bans = pins.get(block.name, {}), forbidden.get(block.name, {})
    for key in (*pin, *bans):
        if key not in _KEYS:
            raise ProblemError(f"block {block.name!r}: {key!r} cannot be pinned or forbidden, only {', '.join(_KEYS)}")
    if not pin and not bans:
        return list(range(len(block)))
    left = []
    for choice, label in enumerate(block.labels):
        values = dict(zip(_KEYS, label, strict=True))
        kept = all(values[key] in _listed(values_kept) for key, values_kept in pin.items())
        banned = bool(bans) and all(values[key] in _listed(excluded) for key, excluded in bans.items())
        if kept and not banned:
            left.append(choice)
    if not left:
        raise ProblemError(f"block {block.name!r} has no choice left under the pins {dict(pin)} and bans {dict(bans)}")
    return left


def plain_rules(rules: Pins | None) -> dict[str, dict[str, list[str | int]]]:
    """Pins or forbidden choices with every value a list of text or integers, as JSON can hold them.

    Raises:
        ProblemError: a value is neither text nor an integer.

    Example:
        >>> plain_rules({"stem": {"weight_bits": 8}})
        {'stem': {'weight_bits': [8]}}
    """
    return {
        str(block): {
            str(key): [_plain(block, key, value) for value in _listed(values_kept)] for key, values_kept in rule.items()
        }
        for block, rule in (rules or {}).items()
    }


def _plain(block: str, key: str, value: Any) -> str | int:
    if isinstance(value, str):
        return value
    try:
        return operator.index(value)
    except TypeError:
        raise ProblemError(f"block {block!r}: {key} = {value!r} must be text or an integer") from None


def _listed(value: Any) -> list[Any]:
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return list(value) if isinstance(value, (list, tuple, range, np.ndarray)) else [value]


def _gene(tables: Tables, group: list[int], allowed: list[list[int]], codes: Mapping[str, int]) -> Gene:
    """The gene of some tied blocks: one option for each label that all of them have."""
    first = tables.blocks[group[0]]
    options = [[choice] for choice in allowed[group[0]]] if len(group) == 1 else _common(tables, group, allowed)
    known = first.labels
    labels = [known[option[0]] for option in options]
    return Gene(
        blocks=np.array(group, dtype=np.int64),
        options=np.array(options, dtype=np.int64),
        operator=np.array([codes[label[0]] for label in labels], dtype=np.int64),
        weight_bits=np.array([label[1] for label in labels], dtype=np.int64),
        activation_bits=np.array([label[2] for label in labels], dtype=np.int64),
    )


def _common(tables: Tables, group: list[int], allowed: list[list[int]]) -> list[list[int]]:
    """Per label that every block of the group allows, the choice of each block; the n-th of equal labels together."""
    by_label: list[dict[tuple[Label, int], int]] = []
    for index in group:
        labels, counts = tables.blocks[index].labels, dict[Label, int]()
        choices = {}
        for choice in allowed[index]:
            count = counts.get(labels[choice], 0)
            counts[labels[choice]] = count + 1
            choices[labels[choice], count] = choice
        by_label.append(choices)
    shared = [key for key in by_label[0] if all(key in others for others in by_label[1:])]
    if not shared:
        names = ", ".join(tables.blocks[index].name for index in group)
        raise ProblemError(f"the tied blocks {names} have no choice in common: untie them or add choices")
    return [[choice_of[key] for choice_of in by_label] for key in shared]
