"""Genome spaces and the additive form of a problem.

- `Gene`, `Space`: which genomes there are; genes against genomes.
- `Additive`: objectives and limits as sums over genes.
"""

from evo_qnas.spaces.additive import Additive
from evo_qnas.spaces.space import Gene, Space

__all__ = ["Additive", "Gene", "Space"]
