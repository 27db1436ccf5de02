"""Tables of scores and costs.

- `Tables`, `Block`, `Column`: the values.
- `Finding`: what `Tables.check` found.
- `csv_files`, `hdf5`: files. `importers`: published tables of others.
- `restrict`, `keep_choices`: fewer choices.
"""

from evo_qnas.tables.edit import keep_choices, restrict
from evo_qnas.tables.findings import Finding, Severity
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.tables import Tables

__all__ = ["Block", "Column", "Direction", "Finding", "Severity", "Tables", "keep_choices", "restrict"]
