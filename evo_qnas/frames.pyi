from collections.abc import Sequence
from typing import Any

from pandas import DataFrame as DataFrame

def data_frame(data: Any, columns: Sequence[str] | None = None) -> DataFrame: ...
def read_csv(path: Any) -> DataFrame: ...
