"""Arrays of numbers from what users hand over."""

from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from evo_qnas.errors import ProblemError


def given_array(values: Any, what: str) -> Shaped[np.ndarray, "..."]:
    """Numbers or booleans as an array of their own type.

    Args:
        values: an array, or nested lists.
        what: the beginning of the message, such as "tell: genomes".

    Raises:
        ProblemError: lists differ in length, or something is no number.
    """
    try:
        array: np.ndarray = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ProblemError(f"{what} must be rows of numbers, all of one length: {error}") from error
    if array.dtype.kind not in "biuf":
        raise ProblemError(f"{what} must be numbers, got {array.dtype}")
    return array


def given_numbers(values: Any, what: str) -> Float[np.ndarray, "..."]:
    """Numbers as float64; see `given_array`."""
    return given_array(values, what).astype(np.float64, copy=False)
