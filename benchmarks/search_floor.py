"""The floor under the time of a search, and searches beside it: what no generational search of such tables can avoid.

The floor is, for the same number of evaluations in generations of one population: looking up and adding up the blocks'
numbers, a non-dominated sort of parents and children together in each generation, and writing genomes, objectives,
generations, times and states to an HDF5 file. Times are those of the processor, the shortest of several turns: floor
and searches are measured in turns within one run, so that what else the machine does falls on both.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import moocore
import numpy as np

from evo_qnas import TableProblem, search
from evo_qnas.archive import layout
from evo_qnas.archive.front import front_rows
from evo_qnas.archive.history import History
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

COLUMNS = ("score", "size_bytes", "latency_ms", "macs", "bit_operations")


@dataclass(frozen=True)
class Times:
    """Processor seconds of one case, the shortest of several turns."""

    floor: float
    first: float
    repeated: float
    no_history: float


def floor(tables: Tables, columns: list[str], evaluations: int, population: int, path: Path) -> None:
    """The least work of a generational search."""
    rng = np.random.default_rng(0)
    flat = [np.concatenate(tables.column(name).values) for name in columns]
    genomes = rng.integers(0, tables.choices, size=(evaluations, len(tables.blocks)))
    start = time.process_time()
    objectives = np.empty((evaluations, len(columns)))
    for first in range(0, evaluations, population):
        part = slice(first, first + population)
        places = tables.starts + genomes[part]
        for column, values in enumerate(flat):
            objectives[part, column] = values[places].sum(axis=1)
    for first in range(0, evaluations - population, population):
        moocore.pareto_rank(objectives[first : first + 2 * population])
    with h5py.File(path, "w", libver="latest") as file:
        file["genome"] = genomes.astype(np.uint8)
        file["objectives"] = objectives
        file["generation"] = np.repeat(np.arange(evaluations // population + 1, dtype=np.int32), population)[
            :evaluations
        ]
        file["seconds"] = np.zeros(evaluations)
        file["state"] = np.zeros(evaluations, dtype=np.uint8)
    _spent.append(time.process_time() - start)


_spent: list[float] = []


def _without_history(evaluations: Any) -> tuple[np.ndarray, History]:
    """A stand-in for what traces a search: its front alone."""
    nothing, m = np.empty(0, dtype=np.int64), evaluations.objectives.shape[1]
    none, corner = np.empty(0), np.full(m, np.nan)
    counts = dict.fromkeys(("generation", "evaluations", "feasible"), nothing)
    return front_rows(evaluations), History(**counts, hypervolume=none, error=none, ideal=corner, nadir=corner)


def measure(blocks: int, m: int, *, evaluations: int, population: int, turns: int) -> Times:
    """The floor, a first search (of tables that nothing has written yet), one again, and one without its history."""
    columns = list(COLUMNS[:m])
    shortest = dict.fromkeys(("floor", "first", "repeated", "no_history"), np.inf)

    def timed(name: str, action: Callable[[], Any]) -> None:
        start = time.process_time()
        action()
        shortest[name] = min(shortest[name], time.process_time() - start)

    for seed in range(turns):
        problem = TableProblem(generate_tables(blocks), objectives=columns)
        with tempfile.TemporaryDirectory() as folder:

            def run(path: str, problem: TableProblem = problem, folder: str = folder, seed: int = seed) -> None:
                options = {"evaluations": evaluations, "population": population, "seed": seed, "progress": False}
                search(problem, path=Path(folder) / path, **options)

            floor(problem.tables, columns, evaluations, population, Path(folder) / "floor.h5")
            shortest["floor"] = min(shortest["floor"], _spent[-1])
            timed("first", lambda run=run: run("first.h5"))
            timed("repeated", lambda run=run: run("again.h5"))
            with patch.object(layout, "traced", _without_history):
                timed("no_history", lambda run=run: run("none.h5"))
    return Times(**shortest)
