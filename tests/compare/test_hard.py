"""The noise of the hard problems, against published numbers."""

import numpy as np

from evo_qnas.compare.hard import _mixed


def test_mixing_is_that_of_splitmix64() -> None:
    """The first two numbers of splitmix64 from seed 0, which other generators' documentation gives as well."""
    with np.errstate(over="ignore"):
        states = np.array([1, 2], dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        assert _mixed(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
