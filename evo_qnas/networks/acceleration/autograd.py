"""Calls of autograd functions."""

from typing import Any

import torch
from torch.autograd import Function


def applied(function: type[Function], *arguments: Any) -> torch.Tensor:
    """The output of an autograd function that has one."""
    result: torch.Tensor = function.apply(*arguments)
    return result
