"""Calls of autograd functions."""

from typing import Any

import torch
from torch.autograd import Function


def applied(function: type[Function], *arguments: Any) -> torch.Tensor:
    """What an autograd function of one output gives."""
    result: torch.Tensor = function.apply(*arguments)
    return result
