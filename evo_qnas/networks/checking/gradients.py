"""Functions with a gradient of their own, which no captured graph holds."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd import Function

from evo_qnas.networks.checking.lines import line_of_stack

# Functions of torch and of ours stand for operations that the graph has.
_KNOWN = ("torch.", "evo_qnas.")


@contextmanager
def own_gradients() -> Iterator[dict[str, str]]:
    """Yields a dict from each `torch.autograd.Function` of others applied inside to the line that applies it."""
    found: dict[str, str] = {}
    # The descriptor itself: `Function.apply` would give a bound method.
    plain: Any = vars(Function)["apply"]
    applied: Callable[..., Any] = plain.__func__

    def noting(cls: type[Function], *arguments: Any, **keywords: Any) -> Any:
        if not f"{cls.__module__}.".startswith(_KNOWN):
            found.setdefault(f"{cls.__module__}.{cls.__qualname__}", line_of_stack())
        return applied(cls, *arguments, **keywords)

    Function.apply = classmethod(noting)  # type: ignore[method-assign,assignment]  # put back below
    try:
        with torch.no_grad():
            yield found
    finally:
        Function.apply = plain  # type: ignore[method-assign]
