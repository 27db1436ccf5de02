"""Arrays from what users hand over: ragged lists and what is no number get one sentence everywhere."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import evo_qnas as eq
from evo_qnas.arrays import given_array, given_numbers
from evo_qnas.errors import ProblemError
from evo_qnas.tables.generate import generate_tables

RAGGED = [[1, 2, 3], [1, 2]]


@pytest.fixture(scope="module")
def problem() -> eq.TableProblem:
    return eq.TableProblem(generate_tables(3), objectives=["score", "size_bytes"])


@pytest.mark.parametrize("values", [[[1, 2]], [[True]], np.ones((2, 0)), [], np.float32(2.5)])
def test_numbers_stay_what_they_are(values: Any) -> None:
    np.testing.assert_array_equal(given_array(values, "x"), np.asarray(values))
    assert given_array(values, "x").dtype == np.asarray(values).dtype
    assert given_numbers(values, "x").dtype == np.float64


class Ragged:
    """An algorithm whose networks differ in length."""

    def ask(self, n: int) -> Any:
        return RAGGED

    def tell(self, *_: Any) -> None:
        raise AssertionError("nothing was asked for")


USES: dict[str, Callable[[eq.TableProblem, Any], Any]] = {
    "from_evaluations: genomes": lambda p, bad: eq.Archive.from_evaluations(p, bad, [[1, 2], [3, 4]]),
    "tell: genomes": lambda p, bad: eq.optimizer(p).tell(bad, [[1, 2], [3, 4]]),
    "points": lambda p, bad: eq.indicators.hypervolume(bad, reference=[1, 2]),
    "the reference point": lambda p, bad: eq.indicators.hypervolume([[1, 2]], reference=bad),
    "reference points": lambda p, bad: eq.indicators.igd_plus([[1, 2]], reference=bad),
}


@pytest.mark.parametrize("what", USES)
@pytest.mark.parametrize("bad", [RAGGED, [["a", "b"]], [[1j, 2]], [[None, {}]]])
def test_ragged_and_other_rows_get_one_sentence(problem: eq.TableProblem, what: str, bad: Any) -> None:
    rule = "rows of numbers, all of one length: " if bad is RAGGED else "numbers, got "
    with pytest.raises(ProblemError, match=rf"^{re.escape(what)} must be {rule}"):
        USES[what](problem, bad)


def test_algorithms_and_results_of_others_too(problem: eq.TableProblem) -> None:
    with pytest.raises(ProblemError, match=r"^Ragged\.ask: genomes must be rows of numbers, all of one length"):
        eq.search(problem, algorithm=Ragged(), evaluations=10, progress=False)
    with pytest.raises(ProblemError, match=r"^results made elsewhere must be rows of numbers, all of one length"):
        eq.compare(problem, {"a": RAGGED, "b": "random"}, seeds=1, evaluations=10)
