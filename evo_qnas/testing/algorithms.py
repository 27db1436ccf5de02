"""The contract of search algorithms, as a test class."""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.problem import Problem, TableProblem
from evo_qnas.search import Optimizer, SearchContext, load_recipe, optimizer, search
from evo_qnas.search.algorithms import algorithm_of
from evo_qnas.tables.generate import generate_tables


class AlgorithmContract(ABC):
    """Tests that every algorithm must pass; inherit and say how one is made, pytest finds the rest.

    An `Optimizer` is tested by an `Algorithm` that makes it.

    Attributes:
        evaluations: budget of the searches.
        population: networks asked for at once.
        rounds: asks that are looked at.

    Example:
        >>> class TestMine(AlgorithmContract):
        ...     def make_algorithm(self):
        ...         return ...
    """

    evaluations = 60
    population = 12
    rounds = 6

    @abstractmethod
    def make_algorithm(self) -> Any:
        """A new algorithm, the name under which it is registered, or a class with `ask` and `tell` (`AskTell`)."""

    def make_problem(self) -> Problem:
        """A new problem of some thousands of networks at least; the default has two additive objectives and a limit."""
        tables = generate_tables(5, operators=2, weight_bits=(2, 4, 8), activation_bits=(8,))
        return TableProblem(tables, objectives=["score", "size_bytes"], constraints=["latency_ms <= 8"])

    def small_problem(self) -> Problem:
        """A new problem of few networks; the default has 64."""
        tables = generate_tables(3, operators=2, weight_bits=(2, 4), activation_bits=(8,))
        return TableProblem(tables, objectives=["score", "size_bytes"])

    def context(self, problem: Problem, *, seed: int = 1, seeding: bool = True) -> SearchContext:
        """The context of a search; equal arguments give equal ones."""
        return SearchContext(
            problem=problem,
            population=self.population,
            seed=seed,
            recipe=load_recipe("default"),
            seeding=seeding,
            reduce=algorithm_of(self.make_algorithm()).reduces,
        )

    def asked(
        self,
        context: SearchContext,
        *,
        spoil: Callable[[np.ndarray], np.ndarray] | None = None,
        before: Callable[[int], None] | None = None,
    ) -> list[np.ndarray]:
        """The rows of some asks, each answered with the problem's values.

        Args:
            context: of the search.
            spoil: from a number to each row, True where its evaluation fails.
            before: called with the number of each ask, ahead of it.
        """
        made = algorithm_of(self.make_algorithm()).make(context)
        asked = []
        for number in range(self.rounds):
            if before is not None:
                before(number)
            genes = made.ask()
            asked.append(genes.copy())
            if not len(genes):
                break
            assert genes.shape[1:] == context.space.counts.shape, "one column for each gene"
            assert (genes >= 0).all(), "options count from 0"
            assert (genes < context.space.counts).all(), "a gene has no more options than its space says"
            rows, _ = context.visited.add(genes)
            made.tell(genes, *self._values(context, genes, None if spoil is None else spoil(rows)))
        return asked

    def _values(
        self, context: SearchContext, genes: np.ndarray, failed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Objectives and violation of gene values, infinite where the evaluation failed."""
        objectives, excess = context.problem.evaluate(context.space.decode(genes))
        violation = np.maximum(excess, 0.0).sum(axis=1)
        if failed is not None:
            objectives, violation = objectives.copy(), violation.copy()
            objectives[failed], violation[failed] = np.inf, np.inf
        return objectives, violation

    def test_it_is_described(self) -> None:
        """`about` is one line."""
        about: Any = algorithm_of(self.make_algorithm()).about
        assert isinstance(about, str)
        assert about
        assert "\n" not in about

    def test_rows_are_gene_values(self) -> None:
        """Every ask gives an integer matrix whose columns are options of the genes, with seeds and without."""
        for seeding in (True, False):
            context = self.context(self.make_problem(), seeding=seeding)
            asked = self.asked(context)
            assert len(asked[0]), "the first ask gives rows"
            for genes in asked:
                assert genes.ndim == 2
                assert np.issubdtype(genes.dtype, np.integer)

    def test_equal_seeds_and_values_give_equal_rows(self) -> None:
        """Global generators of Python and numpy take no part."""
        runs = []
        for first in (0, 100):

            def disturb(number: int, first: int = first) -> None:
                random.seed(first + number)
                np.random.seed(first + number)  # noqa: NPY002 - the generator that must take no part

            runs.append(self.asked(self.context(self.make_problem()), before=disturb))
        assert len(runs[0]) == len(runs[1])
        for one, other in zip(*runs, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_arguments_stay_unchanged(self) -> None:
        """`tell` writes nothing into its arguments."""
        context = self.context(self.make_problem())
        made = algorithm_of(self.make_algorithm()).make(context)
        for _ in range(self.rounds):
            genes = made.ask()
            if not len(genes):
                break
            context.visited.add(genes)
            values = (genes, *self._values(context, genes, None))
            before = [part.copy() for part in values]
            made.tell(*values)
            for part, kept in zip(values, before, strict=True):
                np.testing.assert_array_equal(part, kept)

    def test_failed_evaluations_are_survived(self) -> None:
        """The optimizer goes on, or ends, where some evaluations or all of them fail."""
        context = self.context(self.make_problem())
        assert self.asked(context, spoil=lambda rows: rows % 3 == 1)
        assert self.asked(self.context(self.make_problem()), spoil=lambda rows: np.ones(len(rows), dtype=bool))

    def test_equal_failures_give_equal_rows(self) -> None:
        """Also where several networks failed alike."""
        runs = [self.asked(self.context(self.make_problem()), spoil=lambda rows: rows % 3 > 0) for _ in range(2)]
        for one, other in zip(*runs, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_answers_may_come_late_or_never(self) -> None:
        """Asked by workers that answer in any order, it hands out no network twice, and the same ones again."""
        runs: list[list[bytes]] = []
        for _ in range(2):
            rng = np.random.default_rng(0)
            problem = self.make_problem()
            asked = optimizer(problem, self.make_algorithm(), seed=1, population=self.population)
            handed = list(asked.ask(4))
            working = list(handed)
            while working and len(handed) < self.population:
                genome = working.pop(int(rng.integers(len(working))))
                if rng.random() < 0.9:
                    objectives, excess = problem.evaluate(genome[None])
                    signs = [-1.0 if info.maximize else 1.0 for info in problem.objectives]
                    asked.tell(genome, objectives * signs, excess)
                new = list(asked.ask(4 - len(working)))
                handed, working = handed + new, working + new
            runs.append([genome.tobytes() for genome in handed])
        assert runs[0] == runs[1]
        assert len(set(runs[0])) == len(runs[0])

    def test_a_small_space_ends_the_search(self) -> None:
        """A budget beyond the space is no endless loop; no network is evaluated twice."""
        problem = self.small_problem()
        archive = search(
            problem,
            algorithm=self.make_algorithm(),
            evaluations=100 * problem.space.size,
            population=self.population,
            progress=False,
        )
        assert 0 < len(archive) <= problem.space.size
        assert len(np.unique(archive.genomes, axis=0)) == len(archive)

    def test_a_larger_budget_goes_on(self, tmp_path: Path) -> None:
        """Half of the budget, then the whole of it, ends like the whole at once: the budget takes no part."""
        settings: dict[str, Any] = {"population": self.population, "seed": 2, "progress": False}
        path = tmp_path / "archive.h5"
        for evaluations in (self.evaluations // 2, self.evaluations):
            parts = search(
                self.make_problem(),
                algorithm=self.make_algorithm(),
                evaluations=evaluations,
                path=path,
                **settings,
            )
        whole = search(self.make_problem(), algorithm=self.make_algorithm(), evaluations=self.evaluations, **settings)
        np.testing.assert_array_equal(parts.genomes, whole.genomes)
        np.testing.assert_array_equal(parts.objectives, whole.objectives)

    def test_each_search_has_an_optimizer_of_its_own(self) -> None:
        """`make` gives a new optimizer at each call."""
        algorithm = algorithm_of(self.make_algorithm())
        made: list[Optimizer] = [algorithm.make(self.context(self.make_problem())) for _ in range(2)]
        assert made[0] is not made[1]
