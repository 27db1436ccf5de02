"""Problems on tables as JSON-able values, and their fingerprints."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from evo_qnas.errors import ProblemError
from evo_qnas.problem.custom import CustomObjective, import_objective
from evo_qnas.problem.quantities import Constraint, Objective, names_function, text_of
from evo_qnas.tables import Tables

_SETTINGS = ("name", "unit", "maximize", "per_network", "time_limit")


def description_of(
    objectives: Sequence[Objective],
    constraints: Sequence[Constraint],
    *,
    ties: Sequence[Sequence[str]],
    pins: Mapping[str, Any],
    forbidden: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything but the tables as JSON-able values; functions as `module:function`."""
    return {
        "kind": "tables",
        "objectives": [text_of(item) for item in objectives],
        "constraints": [text_of(item) for item in constraints],
        "ties": [list(tie) for tie in ties],
        "pins": pins,
        "forbidden": forbidden,
        "functions": {
            item.reference: {key: getattr(item, key) for key in _SETTINGS}
            for item in (*objectives, *constraints)
            if isinstance(item, CustomObjective)
        },
    }


def imported_functions(description: Mapping[str, Any], *, trusted: bool) -> dict[str, CustomObjective]:
    """The functions of a description by their references, imported.

    Args:
        description: what `description_of` gave.
        trusted: its functions may be imported.

    Raises:
        ProblemError: it names functions, in whichever part, and is not trusted; or one cannot be imported any more.
    """
    names = [] if trusted else named_functions(description)
    if names:
        raise ProblemError(f"the description names functions ({', '.join(names)}): import them with trusted=True")
    return {
        text: replace(import_objective(text), **settings) for text, settings in description.get("functions", {}).items()
    }


def named_functions(description: Mapping[str, Any]) -> list[str]:
    """The `module:function` texts of a description, in whichever part of it; nothing is imported."""
    names = [str(name) for name in description.get("functions", ())]
    for part in ("objectives", "constraints"):
        texts = map(str, description.get(part, ()))
        names += [text for text in texts if names_function(text)]
    return list(dict.fromkeys(names))


def fingerprint_of(description: Mapping[str, Any], items: Sequence[Objective | Constraint], tables: Tables) -> str:
    """A hex digest of the description, of what functions depend on, and of the values of the tables."""
    mark = hashlib.sha256(json.dumps(description, sort_keys=True, default=str).encode())
    for item in items:
        if isinstance(item, CustomObjective):
            settings = {key: getattr(item, key) for key in _SETTINGS}
            mark.update(json.dumps([settings, item.digest]).encode())
    for block in tables.blocks:
        mark.update(block.stamp)
    for column in tables.columns.values():
        mark.update(f"{column.name} {column.direction} {column.fixed!r}".encode())
        mark.update(np.concatenate(column.values).tobytes())
    return mark.hexdigest()
