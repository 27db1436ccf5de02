"""Code that a card of others would run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evo_qnas
from evo_qnas.cards import find_card
from evo_qnas.errors import CardError
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.problem import names_function

_PACKAGE = Path(evo_qnas.__file__).resolve().parent
# Operators that came with evo_qnas: of the checkout and of the wheel.
_OURS = (_PACKAGE.parent / "operators", _PACKAGE / "_cards" / "operators")


def named_code(card: ProblemCard) -> tuple[str, ...]:
    """What a card names of Python code: a teacher's function, objectives and limits, operators; nothing is imported."""
    named = [f"teacher.architecture = {card.teacher.architecture!r}"] if ":" in card.teacher.architecture else []
    sections = {"search": card.search, **{f"searches.{name}": search for name, search in card.searches.items()}}
    for section, search in sections.items():
        for key, texts in (("objectives", search.objectives), ("constraints", search.constraints)):
            named += [f"{section}.{key}: {text!r}" for text in texts if names_function(text)]
    named += [f"operators.card = {use.card!r}" for use in card.operators if _is_code(use.card)]
    return tuple(dict.fromkeys(named))


def named_early(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What a card's values name of Python code that reading the card already imports: a task, and data."""
    section = values.get("data")
    name = section.get("name") if isinstance(section, Mapping) else None
    given = {"task": values.get("task"), "data.name": name}
    return tuple(f"{key} = {text!r}" for key, text in given.items() if isinstance(text, str) and ":" in text)


def _is_code(name: str) -> bool:
    """True for an operator card in Python that did not come with evo_qnas."""
    try:
        path = find_card("operators/blocks", name)
    except CardError:
        return Path(name).suffix == ".py"
    return path.suffix == ".py" and not any(path.resolve().is_relative_to(folder) for folder in _OURS)


def check_trusted(named: Sequence[str], origin: Path, *, trusted: bool) -> None:
    """Refuses a card that would run code of whoever wrote it, unless it is trusted.

    Args:
        named: of code, see `named_early` and `named_code`.
        origin: where the card lies, for the error.
        trusted: the caller knows whose card it is.

    Raises:
        CardError: the card names code; the text says which, and the way out.
    """
    if named and not trusted:
        more = f" and {len(named) - 3} more" if len(named) > 3 else ""
        raise CardError(
            f"{origin} names Python code that would run here ({'; '.join(named[:3])}{more}): read it first, and give "
            "--trust (trust=True) where you know whose it is"
        )
