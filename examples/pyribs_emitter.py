"""A pyribs emitter as an algorithm: `python -m examples.pyribs_emitter` (needs ribs)."""

from typing import Any

import numpy as np
from ribs.archives import GridArchive
from ribs.emitters import GaussianEmitter

import evo_qnas as eq


class PyribsEmitter:
    """Elites by cell of the last objective; each cell keeps what is best in the first one."""

    def __init__(self, problem: eq.Problem, seed: int) -> None:
        self.space, genes = problem.space, len(problem.space.genes)
        worst = problem.evaluate(self.space.sample(np.random.default_rng(seed), 100))[0][:, -1]
        self.archive = GridArchive(solution_dim=genes, dims=[50], ranges=[(worst.min(), worst.max())], seed=seed)
        bounds = [(0.0, 1.0)] * genes
        self.emitter = GaussianEmitter(
            self.archive, sigma=0.2, x0=[0.5] * genes, bounds=bounds, batch_size=20, seed=seed
        )

    def ask(self, n: int) -> Any:
        self.solutions = self.emitter.ask()
        return self.space.decode(np.minimum(self.solutions * self.space.counts, self.space.counts - 1).astype(int))

    def tell(self, genomes: Any, objectives: Any, constraints: Any) -> None:
        bad = ~np.isfinite(objectives).all(axis=1) | (constraints > 0).any(axis=1)
        value, measure = np.where(bad, -1e9, -objectives[:, 0]), np.nan_to_num(objectives[:, -1:])
        self.emitter.tell(self.solutions, value, measure, self.archive.add(self.solutions, value, measure))


if __name__ == "__main__":
    tables = eq.Tables.load("results/digits/tables.h5")
    problem = eq.TableProblem(tables, ["score", "size_bytes"])
    print(eq.search(problem, algorithm=PyribsEmitter, evaluations=2_000).front.to_csv())
