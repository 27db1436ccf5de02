"""What the operators of a page are, from the cards of `operators/blocks/`."""

import re
from collections.abc import Iterable
from typing import Any

from evo_qnas.cards import list_cards, read_toml
from evo_qnas.errors import CardError

_TEACHER = "the teacher's own block"


def explain(operators: Iterable[str]) -> dict[str, str]:
    """A sentence for each operator that one of our cards makes; others are left out.

    Example:
        >>> explain(["pruned_50", "mine"])["pruned_50"].partition(",")[0]
        "the teacher's own block with 50 percent of the channels inside it"
    """
    patterns = [(_pattern(str(card["label"])), str(card.get("description", ""))) for card in _cards()]
    found = {}
    for name in operators:
        text = _TEACHER if name == "teacher" else _explained(name, patterns)
        if text:
            found[name] = text
    return found


def _cards() -> list[dict[str, Any]]:
    """The cards in TOML that can be read; those in Python would have to be run."""
    cards = []
    for path in list_cards("operators/blocks").values():
        if path.suffix == ".toml":
            try:
                cards.append(read_toml(path))
            except CardError:
                continue
    return [card for card in cards if "label" in card]


def _pattern(label: str) -> re.Pattern[str]:
    """The names that a label such as `ds_k{kernel}_d{depth}` makes; its parameters are groups."""
    parts = re.split(r"\{(\w+)\}", label)
    return re.compile("".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>[0-9.]+)" for i, p in enumerate(parts)))


def _explained(name: str, patterns: list[tuple[re.Pattern[str], str]]) -> str:
    """The description of the card that made an operator, with the values of its parameters."""
    for pattern, description in patterns:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        values = match.groupdict()
        text = description
        for key, value in values.items():
            text = text.replace(f"`{key}`", value)
        text = text.replace("`", "")
        rest = [f"{key} {value}" for key, value in values.items() if f"`{key}`" not in description]
        return f"{text} ({', '.join(rest)})" if rest else text
    return ""
