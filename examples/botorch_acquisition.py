"""A BoTorch acquisition function as an algorithm: `python -m examples.botorch_acquisition` (needs botorch)."""

from typing import Any

import numpy as np
import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood

import evo_qnas as eq


class BotorchAcquisition:
    """Expected hypervolume improvement over a Gaussian process, maximised over 200 random networks."""

    def __init__(self, problem: eq.Problem, seed: int) -> None:
        self.space, self.rng = problem.space, np.random.default_rng(seed)
        self.x = torch.empty(0, len(self.space.genes)).double()
        self.y = torch.empty(0, len(problem.objectives)).double()
        torch.manual_seed(seed)

    def ask(self, n: int) -> Any:
        drawn = self.rng.integers(0, self.space.counts, size=(200, len(self.space.genes)))
        if len(self.x) < 2 * n:
            return self.space.decode(drawn[:n])
        model = SingleTaskGP(self.x, -self.y, outcome_transform=Standardize(self.y.shape[1]))
        likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
        fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": 75}})
        worst = (-self.y).min(dim=0).values.tolist()
        few = SobolQMCNormalSampler(torch.Size([16]), seed=0)  # three objectives take minutes with the default 128
        gain = qLogNoisyExpectedHypervolumeImprovement(model, worst, self.x, few, prune_baseline=True)
        best, _ = optimize_acqf_discrete(gain, q=n, choices=torch.tensor(drawn / self.space.counts))
        return self.space.decode((best.numpy() * self.space.counts).round().astype(int))

    def tell(self, genomes: Any, objectives: Any, constraints: Any) -> None:
        fine = np.isfinite(objectives).all(axis=1) & ~(constraints > 0).any(axis=1)
        self.x = torch.cat([self.x, torch.tensor(self.space.encode(genomes)[fine] / self.space.counts)])
        self.y = torch.cat([self.y, torch.tensor(objectives[fine])])


if __name__ == "__main__":
    tables = eq.Tables.load("results/digits/tables.h5")
    problem = eq.TableProblem(tables, ["score", "size_bytes"])
    print(eq.search(problem, algorithm=BotorchAcquisition, evaluations=60, population=4).front.to_csv())
