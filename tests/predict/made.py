"""Spaces and truths for the tests of predictors."""

import numpy as np

from evo_qnas.predict import Features
from evo_qnas.spaces import Space
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(5, operators=3, weight_bits=(2, 4, 8), activation_bits=(4, 8))


def plain(genes: int = 6, options: int = 3) -> Features:
    """A space without tables."""
    return Features.of(Space.from_counts([options] * genes))


def of_tables(tables: Tables = TABLES) -> Features:
    """A space with operators, bits and columns."""
    from evo_qnas.problem import space_of

    return Features.of(space_of(tables), tables)


def networks(features: Features, n: int, seed: int = 0) -> np.ndarray:
    """Distinct random networks."""
    rng = np.random.default_rng(seed)
    found = np.unique(rng.integers(0, features.space.counts, (3 * n, len(features.space.genes))), axis=0)
    return rng.permutation(found)[:n]


def worth(features: Features, genes: np.ndarray, *, coupling: float, seed: int = 0) -> np.ndarray:
    """A sum over options, and one over all pairs of them."""
    rng = np.random.default_rng(seed)
    total = np.zeros(len(genes))
    for index, count in enumerate(features.space.counts):
        total += rng.standard_normal(count)[genes[:, index]]
        for other in range(index):
            pair = rng.standard_normal((count, features.space.counts[other]))
            total += coupling * pair[genes[:, index], genes[:, other]]
    return total
