"""Objectives that are made from texts, each with one number that may be changed in another way."""

import sys
from types import ModuleType
from typing import Any

_HELPERS = "helpers_of_mine"
_START = """
import functools
import numpy as np

def base(networks):
    return networks.column("score").sum(axis=1)
"""

# The text defines `value`; {factor} is the number that changes.
KINDS = {
    "closure": """
def make(factor):
    def value(networks):
        return factor * base(networks)
    return value
value = make({factor})
""",
    "default": """
def value(networks, factor={factor}, *, other=1):
    return factor * base(networks)
""",
    "keyword default": """
def value(networks, *, factor={factor}):
    return factor * base(networks)
""",
    "global": """
FACTOR = {factor}
def value(networks):
    return [FACTOR * number for number in base(networks)]
""",
    "helper": """
def helper(numbers):
    return {factor} * numbers
def value(networks):
    return helper(base(networks))
""",
    "helper of a helper": """
SETTINGS = {{"factor": [{factor}]}}
def inner(numbers):
    return SETTINGS["factor"][0] * numbers
def outer(numbers):
    return inner(numbers)
def value(networks):
    return outer(base(networks))
""",
    "helper in another module": """
import helpers_of_mine
def value(networks):
    return helpers_of_mine.scaled(base(networks))
""",
    "import in the function": """
def value(networks):
    from helpers_of_mine import scaled
    return scaled(base(networks))
""",
    "class attribute": """
class Settings:
    factor = {factor}
def value(networks):
    return Settings.factor * base(networks)
""",
    "partial argument": """
def scaled(networks, factor):
    return factor * base(networks)
value = functools.partial(scaled, factor={factor})
""",
    "array": """
WEIGHTS = np.array([0.0, {factor}])
def value(networks):
    return WEIGHTS[1] * base(networks)
""",
    "lambda": """
value = lambda networks: {factor} * base(networks)
""",
    "method": """
class Scaled:
    def __init__(self, factor):
        self.factor = factor
    def value(self, networks):
        return self.factor * base(networks)
value = Scaled({factor}).value
""",
    "instance": """
class Scaled:
    __slots__ = ("factor", "calls")
    def __init__(self, factor):
        self.factor, self.calls = factor, 0
    def __call__(self, networks):
        self.calls += 1
        return self.factor * base(networks)
value = Scaled({factor})
""",
    "decorated": """
def noted(function):
    @functools.wraps(function)
    def inner(networks):
        return function(networks)
    return inner
@noted
def value(networks):
    return {factor} * base(networks)
""",
    "store of results": """
FACTOR, KNOWN, CALLS = {factor}, {{}}, 0
@functools.lru_cache(maxsize=None)
def factor(number):
    return FACTOR * number
def value(networks):
    global CALLS
    CALLS += 1
    numbers = []
    for number in base(networks):
        if number not in KNOWN:
            KNOWN[number] = factor(float(number))
        numbers.append(KNOWN[number])
    return np.array(numbers)
""",
}


def made_function(kind: str, factor: float) -> Any:
    """The `value` of a kind, as a script would define it that was edited and run again.

    Args:
        kind: one of `KINDS`.
        factor: what changes.
    """
    helpers = ModuleType(_HELPERS)
    exec(f"def scaled(numbers):\n    return {factor} * numbers\ndef unused():\n    return 0\n", vars(helpers))
    sys.modules[_HELPERS] = helpers
    mine = ModuleType("objectives_of_mine")
    exec(_START + KINDS[kind].format(factor=factor), vars(mine))
    return mine.value


def forget_helpers() -> None:
    """Takes the module of helpers away."""
    sys.modules.pop(_HELPERS, None)
