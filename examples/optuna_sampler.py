"""An Optuna sampler as an algorithm: `python -m examples.optuna_sampler` (needs optuna)."""

from typing import Any

import numpy as np
import optuna

import evo_qnas as eq


class OptunaSampler:
    """Any sampler of Optuna for several objectives; TPE here."""

    def __init__(self, problem: eq.Problem, seed: int) -> None:
        self.space = problem.space
        self.study = optuna.create_study(
            directions=["minimize"] * len(problem.objectives),
            sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, constraints_func=_limits),
        )

    def ask(self, n: int) -> Any:
        self.trials = [self.study.ask() for _ in range(n)]
        genes = [[t.suggest_int(f"gene{g}", 0, c - 1) for g, c in enumerate(self.space.counts)] for t in self.trials]
        return self.space.decode(np.array(genes))

    def tell(self, genomes: Any, objectives: Any, constraints: Any) -> None:
        for trial, values, limits in zip(self.trials, objectives, constraints, strict=True):
            failed = not np.isfinite(values).all()
            trial.set_user_attr("limits", [1.0] if failed else limits.tolist())
            self.study.tell(trial, None if failed else values.tolist(), state=_FAIL if failed else None)


_FAIL = optuna.trial.TrialState.FAIL


def _limits(trial: Any) -> Any:
    return trial.user_attrs["limits"]


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tables = eq.Tables.load("results/digits/tables.h5")
    problem = eq.TableProblem(tables, ["score", "size_bytes"])
    print(eq.search(problem, algorithm=OptunaSampler, evaluations=200, population=10).front.to_csv())
