"""Objectives and limits of a problem on tables, from their texts: terms of columns, or functions of a user's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, final

from evo_qnas.problem.custom import CustomObjective, as_objective, import_objective
from evo_qnas.problem.networks import Networks
from evo_qnas.problem.terms import Term, has_term_form, parse_term
from evo_qnas.spaces import Limit, is_limit, parse_limit
from evo_qnas.tables import Tables

Custom = CustomObjective | Callable[[Networks], Any]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TermLimit:
    """A limit on a term of columns; the limit's name is the term's text.

    Attributes:
        term: the quantity.
        limit: its ends.
    """

    term: Term
    limit: Limit


Objective = Term | CustomObjective
Constraint = TermLimit | CustomObjective


def names_function(text: str) -> bool:
    """True for an objective or constraint that is written `module:function`, not as columns or a limit on them.

    Example:
        >>> names_function("my.module:memory"), names_function("max:latency_ms")
        (True, False)
        >>> names_function("my.module:excess"), names_function("max:latency_ms <= 4")
        (True, False)
    """
    return not has_term_form(text) and not is_limit(text)


def parse_objective(item: str | Custom, tables: Tables) -> Objective:
    """An objective from its text or function.

    Raises:
        ProblemError: a column or function is unknown.
    """
    if not isinstance(item, str):
        return as_objective(item)
    return import_objective(item) if names_function(item) else parse_term(item, tables)


def parse_constraint(item: str | Custom, tables: Tables) -> Constraint:
    """A limit from its text or function.

    Raises:
        ProblemError: the limit cannot be read, or a column or function is unknown.
    """
    if not isinstance(item, str):
        return replace(as_objective(item), limit=True)
    if names_function(item):
        return replace(import_objective(item), limit=True)
    limit = parse_limit(item)
    term = parse_term(limit.name, tables)
    return TermLimit(term=term, limit=replace(limit, name=term.text))


def text_of(item: Objective | Constraint) -> str:
    """The text from which `parse_objective` or `parse_constraint` makes it again."""
    if isinstance(item, CustomObjective):
        return item.reference
    return item.text if isinstance(item, Term) else item.limit.text
