"""What each operation does to the channels of what it reads, by name of the operation."""

from evo_qnas.networks.candidates.channels.rules import layers, moves, products, values

RULES = {**values.RULES, **moves.RULES, **layers.RULES, **products.RULES}
