"""Problems of other libraries; they are imported only when asked for."""

from typing import Any

from evo_qnas.problem.problem import Problem


def from_pymoo(problem: Any, *, vtype: type | None = None, noisy: bool = False) -> Problem:
    """A pymoo `Problem` of integer, boolean or choice variables as ours, for `search` and `compare`.

    Constraints G <= 0 hold as they are, equalities H within pymoo's tolerance of 1e-4. The result has `original`,
    `variables_of(genomes)` and `genomes_of(X)`.

    Args:
        problem: the pymoo problem.
        vtype: `int` or `bool`, for problems that do not say it themselves (pymoo's ZDT5 is bits and says float).
        noisy: equal networks may get unequal values; a resumed search then holds no stored value against a new one.

    Raises:
        ProblemError: it is no pymoo problem, or a variable is real or unbounded.
    """
    from evo_qnas.problem.pymoo_bridge import PymooProblem

    return PymooProblem(problem, vtype=vtype, noisy=noisy)


def to_pymoo(problem: Problem) -> Any:
    """One of our problems as a pymoo `Problem`: one integer variable per gene, constraints as G <= 0.

    Networks that could not be evaluated are infinitely bad there. The result has `original`, `variables_of(genomes)`
    and `genomes_of(X)`, which turns pymoo's `X` into genomes.
    """
    from evo_qnas.problem.pymoo_bridge import ExportedProblem

    return ExportedProblem(problem)
