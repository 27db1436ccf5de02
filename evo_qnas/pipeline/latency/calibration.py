"""The whole networks that latency is calibrated on, and how well the calibration holds."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.tables import Tables
from evo_qnas.tables.calibration import Agreement, Calibration


def random_genomes(tables: Tables, count: int, rng: np.random.Generator) -> Int[np.ndarray, "n blocks"]:
    """Distinct genomes: in turns uniform ones, and ones whose blocks are all about equally small or large.

    Uniform genomes alone have sums close to each other, while a search goes to the ends.
    """
    by_size = [np.argsort(values, kind="stable") for values in tables.column("macs").values]
    found: dict[tuple[int, ...], None] = {}
    tries = 0
    while len(found) < count and tries < 100 * count:
        tries += 1
        genome = rng.integers(0, tables.choices)
        if len(found) % 2:
            places = np.clip(rng.normal(rng.random(), 0.2, len(genome)), 0.0, 1.0) * (tables.choices - 1)
            genome = np.array([order[round(at)] for order, at in zip(by_size, places, strict=True)])
        found[tuple(int(value) for value in genome)] = None
    return np.array(list(found), dtype=np.int64)


def agreements(
    found: Calibration,
    parts: Float[np.ndarray, "n blocks"],
    measured: Float[np.ndarray, " n"],
    fixed: float | None,
) -> dict[str, Any]:
    """Agreement with held-out networks: of calibrated latency, and of the plain sum of blocks and fixed part."""
    ways = {"held_out": found.predict(parts)}
    if fixed is not None:
        ways["plain_sum"] = parts.sum(axis=1) + fixed
    details: dict[str, Any] = {"held_out_networks": len(measured)}
    for name, predicted in ways.items():
        agreement = Agreement.of(predicted, measured)
        details[f"{name}_error"] = number_or_none(agreement.error)
        details[f"{name}_kendall_tau"] = number_or_none(agreement.kendall_tau)
    return details


def number_or_none(value: float) -> float | None:
    """A number that JSON can hold: None for NaN and infinity."""
    return value if np.isfinite(value) else None
