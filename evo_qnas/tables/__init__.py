"""Tables of scores and costs.

- `Tables`, `Block`, `Column`: the values.
- `hdf5`: files.
"""

from evo_qnas.tables.tables import Block, Column, Direction, Tables

__all__ = ["Block", "Column", "Direction", "Tables"]
