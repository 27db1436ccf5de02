"""Tables of scores and costs.

- `Tables`, `Block`, `Column`: the values; `Content`: the parts that files hold.
- `Finding`: one oddity that `Tables.check` reports.
- `csv_reading`, `csv_writing`, `hdf5`: files. `importers`: published tables of others.
- `unit_of`: the unit that a column's name states.
"""

from evo_qnas.tables.content import Content
from evo_qnas.tables.findings import Finding, Severity
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.tables import Tables
from evo_qnas.tables.units import unit_of

__all__ = ["Block", "Column", "Content", "Direction", "Finding", "Severity", "Tables", "unit_of"]
