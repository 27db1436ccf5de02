"""Recipes, and the contract of the ways to round."""

import pytest

from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.recipe import ROUNDINGS, Recipe
from evo_qnas.networks.testing import RoundingContract


class TestNearest(RoundingContract):
    @property
    def name(self) -> str:
        return "nearest"


class TestCompensated(RoundingContract):
    @property
    def name(self) -> str:
        return "compensated"


class TestAdaptive(RoundingContract):
    @property
    def name(self) -> str:
        return "adaptive"


def test_every_rounding_of_ours_meets_the_contract() -> None:
    assert set(ROUNDINGS.ours) == {"nearest", "compensated", "adaptive"}


def test_an_unknown_rounding_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"there is no rounding 'nearst'; the nearest are: nearest"):
        Recipe(rounding="nearst")
