"""Small tables for the tests of problems."""

import numpy as np

from evo_qnas.tables import Block, Tables

OPERATORS = ("conv", "sep", "skip")


def made_tables(seed: int = 0, blocks: int = 3, *, fixed: float = 0.0) -> Tables:
    """Blocks of 2 to 5 choices out of three operators x (4, 8) bits; `good` is to be maximised."""
    rng = np.random.default_rng(seed)
    labels = [(operator, bits, bits) for operator in OPERATORS for bits in (4, 8)]
    parts, lengths = [], []
    for index in range(blocks):
        # The first label is everywhere, so that any blocks may be tied.
        chosen = [0, *(1 + rng.permutation(len(labels) - 1)[: rng.integers(1, 5)])]
        picked = [labels[i] for i in chosen]
        lengths.append(len(picked))
        parts.append(
            Block(
                name=f"b{index}",
                operators=tuple(label[0] for label in picked),
                weight_bits=np.array([label[1] for label in picked], dtype=np.int64),
                activation_bits=np.array([label[2] for label in picked], dtype=np.int64),
            )
        )
    # Few distinct values, so that equal ones are common.
    return Tables.from_arrays(
        {name: [rng.integers(-3, 6, size=n).astype(float) for n in lengths] for name in ("score", "cost", "good")},
        blocks=parts,
        directions={"good": "maximize"},
        units={"cost": "ms"},
        fixed={"cost": fixed},
    )
