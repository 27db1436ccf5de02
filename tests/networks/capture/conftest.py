"""Tests of the capture export each network anew."""

import pytest


@pytest.fixture(autouse=True)
def always_anew(exported_anew: None) -> None:
    """Without a memory of programs."""
