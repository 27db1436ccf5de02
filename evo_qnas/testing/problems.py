"""The contract of problems, as a test class."""

from abc import ABC, abstractmethod

import numpy as np

from evo_qnas.problem import Problem


class ProblemContract(ABC):
    """Tests that every problem must pass; inherit and say how one is made, pytest finds the rest.

    Example:
        >>> class TestMine(ProblemContract):
        ...     def make_problem(self):
        ...         return ...
    """

    networks = 20

    @abstractmethod
    def make_problem(self) -> Problem:
        """A new problem; every call gives an equal one."""

    def sample(self, problem: Problem) -> np.ndarray:
        """Some genomes of the problem's space."""
        return problem.space.sample(np.random.default_rng(7), self.networks)

    def test_shapes(self) -> None:
        """Objectives (n, m) and constraints (n, k) are float64, for any n."""
        problem = self.make_problem()
        genomes = self.sample(problem)
        for n in (0, 1, len(genomes)):
            objectives, constraints = problem.evaluate(genomes[:n])
            assert objectives.shape == (n, len(problem.objectives))
            assert constraints.shape == (n, len(problem.constraints))
            assert objectives.dtype == np.float64
            assert constraints.dtype == np.float64

    def test_names_differ(self) -> None:
        """There is at least one objective, and each has a name of its own."""
        names = [info.name for info in self.make_problem().objectives]
        assert names
        assert len(set(names)) == len(names)

    def test_argument_stays_unchanged(self) -> None:
        """`evaluate` writes nothing into its argument."""
        problem = self.make_problem()
        genomes = self.sample(problem)
        before = genomes.copy()
        problem.evaluate(genomes)
        assert np.array_equal(genomes, before)

    def test_same_values_again(self) -> None:
        """Equal genomes have equal values, bit for bit: later, and in an equal problem."""
        problem = self.make_problem()
        genomes = self.sample(problem)
        first = problem.evaluate(genomes)
        for again in (problem.evaluate(genomes), self.make_problem().evaluate(genomes)):
            for one, other in zip(first, again, strict=True):
                assert np.array_equal(one, other, equal_nan=True)

    def test_rows_do_not_know_each_other(self) -> None:
        """A network's values do not depend on its batch, its place there, or the order of the bytes."""
        problem = self.make_problem()
        genomes = self.sample(problem)
        whole = problem.evaluate(genomes)
        single = [problem.evaluate(genomes[row : row + 1]) for row in range(len(genomes))]
        turned = problem.evaluate(np.asfortranarray(genomes[::-1]))
        for part in (0, 1):
            assert np.array_equal(whole[part], np.concatenate([one[part] for one in single]), equal_nan=True)
            assert np.array_equal(whole[part], turned[part][::-1], equal_nan=True)

    def test_genomes_and_genes_agree(self) -> None:
        """Encoding and decoding give the genome back; genes count from 0."""
        space = self.make_problem().space
        genes = np.random.default_rng(3).integers(0, space.counts, size=(self.networks, len(space.genes)))
        assert np.array_equal(space.encode(space.decode(genes)), genes)

    def test_additive_form_says_the_same(self) -> None:
        """Sums of the additive form, where there is one, are the values, up to rounding."""
        problem = self.make_problem()
        additive = problem.additive
        if additive is None:
            return
        genomes = self.sample(problem)
        objectives, constraints = problem.evaluate(genomes)
        sums, excess = additive.sums(additive.space.encode(genomes))
        np.testing.assert_allclose(sums, objectives, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            excess, constraints, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(additive.bounds).max(initial=0.0))
        )

    def test_fingerprint_is_stable(self) -> None:
        """Equal problems have equal fingerprints."""
        first, other = self.make_problem().fingerprint, self.make_problem().fingerprint
        assert first
        assert first == other
