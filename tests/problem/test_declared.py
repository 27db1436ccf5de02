"""Problems of names alone: what cannot be a number of choices."""

from typing import Any

import pytest

from evo_qnas.errors import ProblemError
from evo_qnas.problem import DeclaredProblem


@pytest.mark.parametrize("choices", [[True, True], {"a": True}])
def test_truth_values_are_no_numbers_of_choices(choices: Any) -> None:
    with pytest.raises(ProblemError, match=r"the number of choices of a block must be a whole number, got True"):
        DeclaredProblem(choices, ["error"])
