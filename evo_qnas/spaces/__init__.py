"""Genome spaces and the additive form of a problem.

- `Gene`, `Space`: which genomes there are; genes against genomes.
- `Additive`: objectives and limits as sums over genes.
- `Limit`, `LimitSide`, `parse_limit`, `is_limit`: limits on a quantity by its name; `ROUNDING`: what they let pass.
- `network_id`: the name of a network.
"""

from evo_qnas.spaces.additive import Additive
from evo_qnas.spaces.limits import ROUNDING, Limit, LimitSide, is_limit, parse_limit
from evo_qnas.spaces.naming import network_id
from evo_qnas.spaces.space import Gene, Space

__all__ = ["ROUNDING", "Additive", "Gene", "Limit", "LimitSide", "Space", "is_limit", "network_id", "parse_limit"]
