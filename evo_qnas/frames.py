"""Data frames, without loading pandas before one is made; `frames.pyi` tells type checkers pandas' own types.

Tables for notebooks too.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

DataFrame = Any


def data_frame(data: Any, columns: Sequence[str] | None = None) -> DataFrame:
    """A pandas data frame, as `pandas.DataFrame(data, columns=columns)` makes it."""
    import pandas as pd

    return pd.DataFrame(data, columns=columns)


def read_csv(path: Any) -> DataFrame:
    """The data frame of a CSV file, as `pandas.read_csv(path)` reads it.

    Raises:
        ValueError: it is no CSV file.
        OSError: it cannot be read.
    """
    import pandas as pd

    return pd.read_csv(path)


def html_table(names: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    """A title and a table for notebooks, all texts escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<p>{escape(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
