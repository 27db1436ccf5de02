"""Archives and fronts as notebooks show them."""

from collections.abc import Sequence

import numpy as np

from evo_qnas.archive.header import Header
from evo_qnas.frames import html_table
from evo_qnas.problem import ObjectiveInfo

# Rows that are shown, half of them first and half last ones. Chosen, not measured: a screen.
_MOST_ROWS = 20


def front_html(header: Header, numbers: np.ndarray, values: Sequence[np.ndarray], title: str) -> str:
    """A title and a table of networks, the middle left out where there are many.

    Args:
        header: of the archive.
        numbers: of the evaluations.
        values: objectives and excesses, one row a network.
        title: one line.
    """
    names = ["", "evaluation", *map(_words, header.objectives), *(f"over {info.name}" for info in header.constraints)]
    count, half = len(numbers), _MOST_ROWS // 2
    shown = [*range(half), None, *range(count - half, count)] if count > _MOST_ROWS else list(range(count))
    table = np.concatenate(list(values), axis=1)
    rows = [
        ["..."] * len(names) if at is None else [str(at), str(numbers[at]), *(f"{v:.6g}" for v in table[at])]
        for at in shown
    ]
    return html_table(names, rows, title)


def _words(info: ObjectiveInfo) -> str:
    unit = "" if info.unit == "1" else f" [{info.unit}]"
    return f"{info.name}{unit} ({'max' if info.maximize else 'min'})"
