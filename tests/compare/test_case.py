"""Known fronts: every way to them gives the same one."""

import numpy as np
import pytest

from evo_qnas.compare import Case, KnownFront, enumerated_front, grouped_front, summed_front
from evo_qnas.compare.hard import fused_latency, fusible, noisy_score, peak_memory, requantized_latency
from evo_qnas.errors import ProblemError
from evo_qnas.problem import Networks, TableProblem
from evo_qnas.tables.generate import generate_tables


def test_sums_equal_enumeration() -> None:
    small = TableProblem(generate_tables(4, operators=2), constraints=["latency_ms <= 2.5"])
    exact, every = summed_front(small), enumerated_front(small)
    assert exact.exact
    assert every.exact
    np.testing.assert_allclose(exact.points, every.points, rtol=1e-12)


def test_groups_equal_enumeration() -> None:
    tables = generate_tables(8, operators=4, weight_bits=(8,), activation_bits=(8,))
    small = TableProblem(tables, ["score", fused_latency])
    grouped, every = grouped_front(small, [range(4), range(4, 8)]), enumerated_front(small)
    assert grouped.exact
    np.testing.assert_allclose(grouped.points, every.points, rtol=1e-12)


def test_too_many_to_enumerate() -> None:
    with pytest.raises(ProblemError, match="networks are too many to evaluate all: at most 4,194,304"):
        enumerated_front(TableProblem(generate_tables(8)))


def test_case_knows_what_it_can() -> None:
    tables = generate_tables(3, operators=2)
    assert Case(name="a", problem=TableProblem(tables)).known_front() is not None
    mixed = TableProblem(tables, ["score", peak_memory])
    assert Case(name="a", problem=mixed).known_front() is None
    given = KnownFront(points=np.zeros((1, 2)), exact=True, how="given")
    assert Case(name="a", problem=mixed, known=lambda: given).known_front() is given
    assert Case(name="a", problem=mixed, evaluations=10).budget(50) == 10
    assert Case(name="a", problem=mixed, evaluations=100).budget(50) == 50


def networks(blocks: int, genomes: list[list[int]], **arguments: object) -> Networks:
    return Networks(tables=generate_tables(blocks, **arguments), genomes=np.array(genomes))  # type: ignore[arg-type]


def test_conversion_where_neighbours_differ() -> None:
    # Choices: 4/4, 4/8, 8/4, 8/8 bits.
    some = networks(3, [[0, 0, 0], [0, 1, 0]], operators=1, weight_bits=(4, 8), activation_bits=(4, 8))
    plain = some.column("latency_ms").sum(axis=1)
    macs = some.tables.column("macs").values
    handed = [4.0 * np.sqrt(macs[0][0]) * 4 / 8, 4.0 * np.sqrt(macs[1][0]) * 8 / 8]
    latency = requantized_latency.values(some)
    assert latency[0] == pytest.approx(plain[0])
    assert latency[1] - plain[1] == pytest.approx(2e-5 * sum(handed))


def test_peak_memory_is_of_neighbours() -> None:
    some = networks(3, [[0, 1, 1]], operators=1, weight_bits=(4, 8), activation_bits=(4, 8))
    macs = some.tables.column("macs").values
    handed = [4.0 * np.sqrt(macs[b][0]) * bits / 8 for b, bits in ((0, 4), (1, 8), (2, 8))]
    assert peak_memory.values(some)[0] == pytest.approx(
        max(2 * handed[0], handed[0] + handed[1], handed[1] + handed[2])
    )


def test_trap_rises_before_it_falls() -> None:
    target = fusible(4)
    assert ((target >= 1) & (target <= 3)).all()
    other = (target + 1) % 4
    steps = [[*target[:fits], *other[fits:]] for fits in range(5)]
    some = networks(4, steps, operators=4, weight_bits=(8,), activation_bits=(8,))
    trap = fused_latency.values(some) - some.column("latency_ms").sum(axis=1)
    assert (np.diff(trap)[:3] > 0).all()
    assert trap[4] < trap[0]


def test_noise_is_of_the_network_alone() -> None:
    tables = generate_tables(8)
    genomes = np.random.default_rng(0).integers(0, 120, (4000, 8))
    batch = noisy_score.values(Networks(tables=tables, genomes=genomes))
    again = noisy_score.values(Networks(tables=tables, genomes=genomes[::-1].copy()))[::-1]
    np.testing.assert_array_equal(batch, again)
    error = batch / tables.total("score", genomes) - 1.0
    # 4,000 draws: the mean is within 4 * 0.05 / sqrt(4000), the deviation within 4 / sqrt(8000) of 5 %.
    assert abs(error.mean()) < 0.0032
    assert error.std() == pytest.approx(0.05, rel=0.045)
    neighbours = genomes.copy()
    neighbours[:, 0] = (neighbours[:, 0] + 1) % 120
    other = noisy_score.values(Networks(tables=tables, genomes=neighbours)) / tables.total("score", neighbours) - 1.0
    assert abs(np.corrcoef(error, other)[0, 1]) < 4 / np.sqrt(4000)
