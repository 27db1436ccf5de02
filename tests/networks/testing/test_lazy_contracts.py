"""Contracts of the network half are found in `evo_qnas.testing`, which loads no torch by itself."""

import subprocess
import sys

import pytest

from evo_qnas import testing
from evo_qnas.networks.testing import OperationContract, SchemeContract


def test_contracts_are_imported_when_they_are_asked_for() -> None:
    loaded = "print('torch' in sys.modules)"
    code = f"import sys, evo_qnas.testing as t; {loaded}; t.SchemeContract; {loaded}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]


def test_contracts_are_those_of_the_network_half() -> None:
    assert testing.SchemeContract is SchemeContract
    assert testing.OperationContract is OperationContract
    with pytest.raises(AttributeError, match=r"module 'evo_qnas.testing' has no attribute 'NoContract'"):
        _ = testing.NoContract
