"""NAS-Bench-Macro as a black box: how much of the true front 1,000 look-ups find, beside pymoo's NSGA-II.

Every network of NAS-Bench-Macro was trained three times; a search sees only the error and the number of
parameters of the networks it asks for. Needs the real data (`../shared/data` or `$EVO_QNAS_DATA`).

    python benchmarks/nas_bench_macro.py
    python benchmarks/nas_bench_macro.py --evaluations 400 --surrogate
"""

import argparse
import hashlib
import os
import sys
from pathlib import Path
from typing import final

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from evo_qnas import ObjectiveInfo, Problem, Space, search
from evo_qnas.pareto import hypervolume, nondominated
from evo_qnas.problem import ConstraintInfo
from evo_qnas.spaces import Additive

DATA = Path(os.environ.get("EVO_QNAS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
WANTED_SHARE = 0.999
WANTED_POINTS = 30


@final
class Macro(Problem):
    """Error and parameters of all 3^8 networks, looked up one by one."""

    def __init__(self) -> None:
        data = np.load(DATA / "nas_bench_macro_cifar10.npz", allow_pickle=False)
        self.codes = data["codes"].astype(np.int64)
        self.values = np.stack([100.0 - data["mean_acc"], data["params"].astype(np.float64)], axis=1)
        self.row = np.empty(3**8, dtype=np.int64)
        self.row[self.codes @ 3 ** np.arange(8)] = np.arange(len(self.codes))

    space = Space.from_counts([3] * 8)
    objectives = (ObjectiveInfo(name="error", unit="%"), ObjectiveInfo(name="params"))
    constraints: tuple[ConstraintInfo, ...] = ()
    additive: Additive | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of all values."""
        return hashlib.sha256(self.values.tobytes()).hexdigest()

    def evaluate(self, genomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Looks up error and parameters."""
        return self.values[self.row[genomes @ 3 ** np.arange(8)]], np.empty((len(genomes), 0))


class MacroInPymoo(PymooProblem):
    """The same for pymoo, which keeps no archive: every look-up is counted and kept here."""

    def __init__(self, macro: Macro) -> None:
        super().__init__(n_var=8, n_obj=2, xl=0, xu=2, vtype=int)
        self.macro = macro
        self.seen: dict[bytes, np.ndarray] = {}

    def _evaluate(self, x: np.ndarray, out: dict, *_args: object, **_kwargs: object) -> None:
        genomes = np.asarray(x, dtype=np.int64)
        out["F"] = self.macro.evaluate(genomes)[0]
        for genome, values in zip(genomes, out["F"], strict=True):
            self.seen[genome.tobytes()] = values


def theirs(macro: Macro, evaluations: int, seed: int, *, rounding: bool) -> np.ndarray:
    """Everything that pymoo's NSGA-II looked up, population 100."""
    problem = MacroInPymoo(macro)
    crossover = SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()) if rounding else UX()
    mutation = PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair())
    algorithm = NSGA2(
        pop_size=100,
        sampling=IntegerRandomSampling(),
        crossover=crossover,
        mutation=mutation,
        eliminate_duplicates=True,
    )
    minimize(problem, algorithm, ("n_eval", evaluations), seed=seed)
    return np.array(list(problem.seen.values()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=11)
    parser.add_argument("--surrogate", action="store_true", help="the surrogate-assisted search as well: 10 s a seed")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"needs the real data at {DATA} (or set EVO_QNAS_DATA)")
        return 0
    macro = Macro()
    truth = np.unique(macro.values[nondominated(macro.values)], axis=0)
    low, span = macro.values.min(axis=0), np.ptp(macro.values, axis=0)
    whole = hypervolume((truth - low) / span, np.ones(2))

    def quality(points: np.ndarray) -> tuple[float, int]:
        share = hypervolume((points - low) / span, np.ones(2)) / whole
        return share, int((truth[:, None] == points[None]).all(axis=2).any(axis=1).sum())

    ways = {
        "nsga2 of evo_qnas": lambda seed: search(macro, evaluations=options.evaluations, seed=seed).objectives,
        "random": lambda seed: search(macro, algorithm="random", evaluations=options.evaluations, seed=seed).objectives,
        "pymoo NSGA-II, SBX + rounding": lambda seed: theirs(macro, options.evaluations, seed, rounding=True),
        "pymoo NSGA-II, uniform crossover": lambda seed: theirs(macro, options.evaluations, seed, rounding=False),
    }
    if options.surrogate:
        ways["surrogate of evo_qnas"] = lambda seed: (
            search(macro, algorithm="surrogate", evaluations=options.evaluations, seed=seed).objectives
        )
    print(f"NAS-Bench-Macro, error and params: {len(truth)} front points, hypervolume {whole:.6f}")
    print(f"{options.evaluations} evaluations, population 100, {options.seeds} seeds")
    print(f"{'':34}  median share  least share  median points found")
    results = {}
    for name, way in ways.items():
        found = [quality(way(seed)) for seed in range(options.seeds)]
        shares, points = np.array(found).T
        results[name] = float(np.median(shares)), float(np.median(points))
        print(f"{name:34}  {np.median(shares):12.5f}  {shares.min():11.5f}  {np.median(points):.0f} of {len(truth)}")
    if options.surrogate:
        found_points = results["surrogate of evo_qnas"][1]
        verdict = "met" if found_points >= WANTED_POINTS else "MISSED"
        print(f"wanted: a median of {WANTED_POINTS} points by surrogate: {verdict}")
        return 0 if found_points >= WANTED_POINTS else 1
    share, points = results["nsga2 of evo_qnas"]
    most = max(value for name, (_, value) in results.items() if name.startswith("pymoo"))
    good = share >= WANTED_SHARE and points > most
    print(f"wanted: a median share of {WANTED_SHARE} and more points than pymoo: {'met' if good else 'MISSED'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
