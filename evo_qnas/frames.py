"""Data frames, without loading pandas before one is made; `frames.pyi` tells type checkers pandas' own types."""

from collections.abc import Sequence
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
