"""The checks of signatures while testing: made for each kind of arguments and result, and never skipped for another."""

from collections.abc import Callable
from typing import Any, Literal

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import beartype
from jaxtyping import Float, Int
from torch._subclasses.fake_tensor import FakeTensorMode

from tests import checked_signatures


def scaled(values: Float[np.ndarray, "n m"], factors: Float[np.ndarray, " m"], wrong: Any = None) -> Any:
    return values * factors if wrong is None else wrong


def summed(values: Float[np.ndarray, "n m"], wrong: Any = None) -> Float[np.ndarray, " n"]:
    summed_up: Float[np.ndarray, " n"] = values.sum(axis=1) if wrong is None else wrong
    return summed_up


def halves(values: tuple[Int[torch.Tensor, " n"], Int[torch.Tensor, " n"]] | None, by: int) -> Int[torch.Tensor, " n"]:
    return torch.zeros(2, dtype=torch.int64) if values is None else values[by]


def chosen(values: Float[np.ndarray, " n"], by: Literal["first", "last"], of: list[int]) -> float:
    return float(values[0 if by == "first" else -1]) + len(of)


@pytest.fixture(params=[1, 2], ids=["first call", "later call"])
def checked(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Decorates, and makes calls that fit first where the call of the test is a later one."""

    def decorate(function: Callable[..., Any], *fitting: Any) -> Any:
        decorated = checked_signatures._checked(function, typechecker=beartype)
        for _ in range(request.param - 1):
            decorated(*fitting)
            decorated(*fitting)
        return decorated

    return decorate


def test_other_shapes_formats_and_types_of_arguments_are_refused(checked: Callable[..., Any]) -> None:
    function = checked(scaled, np.ones((2, 3)), np.ones(3))
    assert function(np.ones((4, 2)), factors=np.ones(2)).shape == (4, 2)
    for wrong in (np.ones(2), np.ones((3, 1)), np.ones(3, dtype=int), [1.0, 2.0, 3.0], torch.ones(3), None):
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the parameters of .*scaled"):
            function(np.ones((2, 3)), wrong)
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the parameters of .*scaled"):
            function(np.ones((2, 3)), factors=wrong)
    with pytest.raises(TypeError, match=r"missing a required argument: 'factors'"):
        function(np.ones((2, 3)))


def test_another_result_is_refused_for_the_same_arguments(checked: Callable[..., Any]) -> None:
    function = checked(summed, np.ones((2, 3)))
    for wrong in (np.ones(3), np.ones((2, 1)), np.ones(2, dtype=int), 1.0, (np.ones(2),)):
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the return value of .*summed"):
            function(np.ones((2, 3)), wrong)
    assert function(np.ones((2, 3)), np.zeros(2)).sum() == 0.0


def test_parts_of_tuples_count(checked: Callable[..., Any]) -> None:
    two, three = torch.zeros(2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    function = checked(halves, (two, two), 0)
    assert function(None, 1).tolist() == [0, 0]
    for values, by in [((two, three), 0), ((two,), 0), ((two, two, two), 0), ([two, two], 0), ((two, two), 0.0)]:
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the parameters of .*halves"):
            function(values, by)


def test_what_a_kind_does_not_tell_is_checked_at_every_call(checked: Callable[..., Any]) -> None:
    function = checked(chosen, np.ones(2), "first", [1])
    for by, of in [("middle", [1]), ("last", ["1"])]:
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the parameters of .*chosen"):
            function(np.ones(2), by, of)


def test_tensors_without_values_are_checked_at_every_call(checked: Callable[..., Any]) -> None:
    two = torch.zeros(2, dtype=torch.int64)
    function = checked(halves, (two, two), 0)
    with FakeTensorMode() as mode:
        fake, longer = mode.from_tensor(two), mode.from_tensor(torch.zeros(3, dtype=torch.int64))
        assert function((fake, fake), 0) is fake
        with pytest.raises(TypeError, match=r"Type-check error whilst checking the parameters of .*halves"):
            function((fake, longer), 0)


def test_checks_are_made_once_for_each_kind() -> None:
    checks = []

    def counting(function: Any) -> Any:
        inner = beartype(function)

        def counted(*args: Any, **kwargs: Any) -> Any:
            checks.append(function.__name__)
            return inner(*args, **kwargs)

        return counted

    function = checked_signatures._checked(summed, typechecker=counting)
    for _ in range(3):
        function(np.ones((2, 3)))
    once = len(checks)
    assert once > 0
    function(np.ones((3, 3)))
    assert len(checks) == 2 * once


def test_the_library_is_checked() -> None:
    from evo_qnas.pareto.fronts import front_mask

    for _ in range(2):
        assert front_mask(np.zeros((2, 2))).tolist() == [True, False]
        with pytest.raises(jaxtyping.TypeCheckError, match=r"Type-check error whilst checking the parameters of"):
            front_mask(np.zeros(2))
