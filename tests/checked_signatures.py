"""Types and shapes in signatures, checked at every call while testing, once for each combination of them.

A check of shapes takes a tenth of a millisecond, more than most of the functions whose signatures have shapes. Where
its verdict depends on nothing but the types, shapes and formats of arguments and result, it is made for the first call
that has them; where it depends on more (items of a list, a choice of texts), it is made for every call.
"""

import collections.abc
import dataclasses
import functools
import inspect
import sys
import threading
import types
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype

__all__ = ["install"]

# A wrong type is a TypeError, as it is where nothing checks, and as jaxtyping has it: readers turn it into a sentence.
_PLAIN = beartype(conf=BeartypeConf(violation_type=jaxtyping.TypeCheckError))
_JAXTYPED = jaxtyping.jaxtyped
# Combinations that a function remembers: hypothesis draws new shapes without end.
_KEPT = 4096


def install(package: str) -> None:
    """Checks every function of a package that is imported from here on."""
    setattr(jaxtyping, "jaxtyped", _checked)  # noqa: B010  # a plain assignment has other types for mypy
    jaxtyping.install_import_hook(package, "beartype.beartype")


def _checked(target: Any = None, *, typechecker: Callable[..., Any]) -> Any:
    """What jaxtyping's import hook decorates with: its own check where a signature has a shape, beartype elsewhere.

    Beartype alone takes a microsecond a call, a check of shapes a hundred of them, and one in five signatures has a
    shape. To decorate a function takes a millisecond, and one that is defined inside another would be decorated at each
    call of that one: there mypy's check is enough.
    """
    if target is None:
        return functools.partial(_checked, typechecker=typechecker)
    if inspect.isclass(target):
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            type.__setattr__(target, "__init__", _checked(target.__init__, typechecker=typechecker))
        return target
    if isinstance(target, staticmethod | classmethod):
        return type(target)(_checked(target.__func__, typechecker=typechecker))
    function = target.fget if isinstance(target, property) else target
    annotations = inspect.get_annotations(function)
    if not any("jaxtyping." in repr(annotation) for annotation in annotations.values()):
        return target if "<locals>" in function.__qualname__ else _PLAIN(target)
    if isinstance(target, property) or not all(_by_kind(annotation) for annotation in annotations.values()):
        return _JAXTYPED(target, typechecker=typechecker)
    return _once_for_each_kind(function, typechecker)


def _by_kind(annotation: Any) -> bool:
    """True where it depends on the kind of a value alone (see `_kind`) whether it fits."""
    if annotation is None or annotation is Any:
        return True
    origin = typing.get_origin(annotation)
    if origin in {types.UnionType, typing.Union, tuple}:
        return all(each is Ellipsis or _by_kind(each) for each in typing.get_args(annotation))
    if origin is not None:
        return origin is collections.abc.Callable
    unlike = typing.is_typeddict(annotation) or getattr(annotation, "_is_protocol", False)
    return isinstance(annotation, type) and not unlike


def _once_for_each_kind(function: Callable[..., Any], typechecker: Any) -> Any:
    """The function, its check made once for each kind of arguments and result, and decorated when first called."""
    fitting: dict[Any, set[Any]] = {}
    waiting = threading.local()

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        return vars(waiting).pop("result") if vars(waiting) else function(*args, **kwargs)

    @functools.cache
    def checked() -> Any:
        return _JAXTYPED(called, typechecker=typechecker)

    @functools.wraps(function)
    def known(*args: Any, **kwargs: Any) -> Any:
        try:
            given = (_kind(args), *((name, _kind(value)) for name, value in kwargs.items()))
            results = fitting.get(given)
        except TypeError:
            return checked()(*args, **kwargs)
        if results is None:
            result = checked()(*args, **kwargs)
        else:
            result = function(*args, **kwargs)
            if _fits(result, results):
                return result
            waiting.result = result
            try:
                checked()(*args, **kwargs)
            finally:
                vars(waiting).clear()
        try:
            kind = _kind(result)
            hash(kind)
        except TypeError:
            return result
        if len(fitting) >= _KEPT:
            fitting.clear()
        fitting.setdefault(given, set()).add(kind)
        return result

    return known


def _fits(result: Any, results: set[Any]) -> bool:
    try:
        return _kind(result) in results
    except TypeError:
        return False


def _kind(value: Any) -> Any:
    """All of a value that checks of annotations by kind look at.

    Raises:
        TypeError: a tensor of another kind, such as one that stands for a tensor while a network is traced.
    """
    kind = type(value)
    if kind is tuple:
        return tuple(map(_kind, value))
    if issubclass(kind, np.ndarray):
        return kind, value.shape, value.dtype
    torch = sys.modules.get("torch")
    if torch is None or not issubclass(kind, torch.Tensor):
        return kind
    if kind is torch.Tensor or kind is torch.nn.Parameter:
        return kind, value.shape, value.dtype
    raise TypeError(f"{kind} may hide its shape")
