import numpy as np
import pytest

from evo_qnas.pipeline.validation import kendall, pick
from evo_qnas.spaces import network_id
from evo_qnas.summary import RankCorrelation
from evo_qnas.tables import Tables

TABLES = Tables.from_arrays(
    {
        "score": [np.array([0.0, 1.0, 2.0, 4.0, 8.0])] * 2,
        "size_bytes": [np.array([50.0, 40.0, 30.0, 20.0, 10.0])] * 2,
    },
    baselines={"teacher_int8": [0, 0]},
)
FRONT = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 3], [3, 3], [3, 4], [4, 4]])


def test_picks_are_the_best_within_each_share_of_the_int8_teacher() -> None:
    picks = pick(TABLES, FRONT, [0.5, 0.8, 0.2])
    sizes = [TABLES.total("size_bytes", np.array([genome]))[0] for genome in picks.values()]
    assert next(iter(picks)) == "teacher_int8"
    assert {80.0, 50.0, 20.0} <= set(sizes)
    assert sizes[1:] == sorted(sizes[1:], reverse=True)
    # Three shares give three networks, two more fill the widest gaps: five beside the baseline.
    assert len(picks) == 6


def test_picks_are_the_best_by_the_score_of_the_search() -> None:
    """The other score turns the order round: within a share the smallest network is picked, not the largest."""
    turned = TABLES.with_column("score_fisher", [-values for values in TABLES.column("score").values])
    usual, other = (list(pick(turned, FRONT, [0.8], score=score, least=1)) for score in ("score", "score_fisher"))
    assert usual[0] == other[0] == "teacher_int8"
    sizes = {
        network_id(genome.tolist()): size for genome, size in zip(FRONT, TABLES.total("size_bytes", FRONT), strict=True)
    }
    whole = TABLES.total("size_bytes", np.array([TABLES.baselines["teacher_int8"]]))[0]
    fitting = {name: size for name, size in sizes.items() if size <= 0.8 * whole}
    assert usual[1] == max(fitting, key=fitting.__getitem__)
    assert other[1] == min(fitting, key=fitting.__getitem__)


def test_a_share_that_nothing_meets_gives_no_pick() -> None:
    assert list(pick(TABLES, FRONT[:1], [0.1])) == ["teacher_int8", network_id([0, 0])]
    assert list(pick(TABLES, FRONT[:0], [0.1])) == ["teacher_int8"]


def test_the_interval_of_kendalls_tau_holds_it_and_narrows_with_networks() -> None:
    rng = np.random.default_rng(0)

    def measured(n: int) -> RankCorrelation:
        x = rng.normal(size=n)
        return kendall(x, x + rng.normal(size=n), seed=0)

    few, many = measured(20), measured(200)
    for result in (few, many):
        assert result.low < result.kendall_tau < result.high
    assert many.high - many.low < few.high - few.low


def test_a_perfect_and_a_constant_ranking() -> None:
    x = np.arange(10.0)
    assert kendall(x, x, seed=0).kendall_tau == pytest.approx(1.0)
    assert kendall(x, np.zeros(10), seed=0) == RankCorrelation(kendall_tau=None, networks=10, low=None, high=None)
