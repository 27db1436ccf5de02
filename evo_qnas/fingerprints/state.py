"""The state of instances, taken apart."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from types import (
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any, final

import numpy as np

from evo_qnas.fingerprints.libraries import library_of

# Facts about a class that say nothing of what its methods give, or that differ between processes.
_CLASS_FACTS = {
    *("__abstractmethods__", "_abc_impl", "__annotate__", "__annotate_func__", "__annotations__", "__dict__"),
    *("__annotations_cache__", "__dataclass_fields__", "__dataclass_params__", "__doc__", "__firstlineno__"),
    *("__module__", "__orig_bases__", "__parameters__", "__qualname__", "__slotnames__", "__static_attributes__"),
    *("__type_params__", "__weakref__"),
}
# Of these nothing but the type counts: they change by being used, or belong to one process.
_OPAQUE = {
    *("_io", "_random", "_thread", "_weakref", "asyncio", "concurrent", "contextvars", "io", "itertools", "logging"),
    *("multiprocessing", "random", "rich", "socket", "subprocess", "threading", "tqdm", "typing", "weakref"),
}
_OPAQUE_KINDS = (
    np.random.Generator,
    np.random.BitGenerator,
    np.random.RandomState,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An instance in parts.

    Attributes:
        attributes: by name.
        parts: values in order.
        items: of a mapping, in any order; None for others.
        members: of a set, in any order; None for others.
    """

    attributes: Mapping[str, Any]
    parts: tuple[Any, ...] = ()
    items: Mapping[Any, Any] | None = None
    members: Iterable[Any] | None = None


def class_members(kind: type) -> dict[str, Any]:
    """The members that a class body defines."""
    return {name: value for name, value in vars(kind).items() if name not in _CLASS_FACTS}


def is_opaque(value: Any) -> bool:
    """True for an object of which its type alone counts."""
    kind = type(value)
    return (
        isinstance(value, _OPAQUE_KINDS)
        or kind is object
        or kind.__module__.partition(".")[0] in _OPAQUE
        or callable(getattr(kind, "__next__", None))
    )


def state_of(value: Any, ignored: frozenset[str]) -> State:
    """The state of an instance without the attributes that are ignored or kept results of its properties."""
    kind = type(value)
    attributes = _inputs(kind, _attributes(value), ignored)
    if isinstance(value, dict | MappingProxyType):
        return State(attributes=attributes, items=value)
    if isinstance(value, Set):
        return State(attributes=attributes, members=value)
    if isinstance(value, list | tuple):
        return State(attributes=attributes, parts=tuple(value))
    plain = [base for base in (int, float, complex, str, bytes) if isinstance(value, base)]
    if plain:
        return State(attributes=attributes, parts=(plain[0].__repr__(value),))
    if library_of(kind.__module__) is None:
        return State(attributes=attributes)
    return _library_state(value, attributes, ignored)


def _inputs(kind: type, attributes: Mapping[Any, Any], ignored: frozenset[str]) -> dict[Any, Any]:
    """The attributes that are neither ignored nor kept results of properties."""
    return {
        name: item
        for name, item in attributes.items()
        if name not in ignored and not isinstance(getattr(kind, str(name), None), cached_property)
    }


def _attributes(value: Any) -> dict[str, Any]:
    """Attributes of an instance, in `__dict__` and in slots, or what the class itself calls its state."""
    own = type(value).__dict__.get("__getstate__")
    if own is not None and library_of(type(value).__module__) is None:
        state = value.__getstate__()
        return dict(state) if isinstance(state, dict) else {"state": state}
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") else name
            if mangled not in {"__dict__", "__weakref__"} and isinstance(vars(kind).get(mangled), MemberDescriptorType):
                try:
                    found[mangled] = getattr(value, mangled)
                except AttributeError:
                    continue
    return found


def _library_state(value: Any, attributes: Mapping[str, Any], ignored: frozenset[str]) -> State:
    """The state of a library's object: its own fingerprint or numbers, or what it is pickled by."""
    kind = type(value)
    wrapped = getattr(value, "__wrapped__", getattr(value, "py_func", None))
    if callable(wrapped):
        return State(attributes={}, parts=(wrapped,))
    mark = getattr(value, "fingerprint", None) if kind.__module__.startswith("evo_qnas.") else None
    if isinstance(mark, str):
        return State(attributes={"fingerprint": mark})
    detach = getattr(value, "detach", None)
    if kind.__module__.startswith("torch") and callable(detach):
        tensor = detach().cpu()
        return State(attributes={"dtype": str(tensor.dtype)}, parts=(np.asarray(tensor.double()),))
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:
        # Objects say in many ways that they cannot be taken apart.
        return State(attributes=attributes)
    if isinstance(reduced, str):
        return State(attributes={"name": reduced})
    make, arguments, state, listed, items = (*reduced, None, None, None)[:5]
    if isinstance(state, dict):
        state = _inputs(kind, state, ignored)
    rest = (make, arguments, state, list(listed or ()), dict(items or ()))
    return State(attributes={}, parts=rest)
