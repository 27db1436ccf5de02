"""A small table problem and batches of evaluations of it."""

from collections.abc import Callable

import numpy as np
import pytest

from evo_qnas.archive import Evaluations, Header
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo
from evo_qnas.tables import Tables

Batches = Callable[..., list[Evaluations]]


@pytest.fixture
def tables() -> Tables:
    rng = np.random.default_rng(5)
    return Tables.from_arrays({name: [rng.random(6) for _ in range(4)] for name in ("score", "speed", "latency_ms")})


@pytest.fixture
def header(tables: Tables) -> Header:
    return Header(
        problem={"objectives": ["score", "speed"]},
        tables=tables,
        blocks=tables.names,
        objectives=(ObjectiveInfo(name="score"), ObjectiveInfo(name="speed", unit="1/s", maximize=True)),
        constraints=(ConstraintInfo(name="latency_ms <= 2", unit="ms"),),
        algorithm="random",
        settings={"evaluations": 60, "population": 10},
        seed=3,
        fingerprint="f00d",
    )


@pytest.fixture
def batches(tables: Tables) -> Batches:
    def make(count: int = 6, size: int = 10, seed: int = 0) -> list[Evaluations]:
        rng = np.random.default_rng(seed)
        made = []
        for generation in range(count):
            genomes = rng.integers(0, 6, size=(size, 4))
            objectives = np.column_stack([tables.total("score", genomes), -tables.total("speed", genomes)])
            excess = tables.total("latency_ms", genomes)[:, None] - 2.0
            made.append(Evaluations.ok(genomes, objectives, excess, generation=generation, seconds=0.25 * generation))
        return made

    return make
