"""Arguments and targets of graph nodes as JSON, and back; what comes back is looked up, nothing is run."""

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import fx

from evo_qnas.errors import NetworkError

# Values of torch that JSON has no word for, each with its kind.
_NAMED: tuple[tuple[str, type[Any]], ...] = (
    ("dtype", torch.dtype),
    ("layout", torch.layout),
    ("memory_format", torch.memory_format),
)
# What stands between operations of torch: items of a list, and arithmetic with sizes.
_ARITHMETIC = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg)
_FUNCTIONS: dict[str, Any] = {
    f"operator.{function.__name__}": function for function in (operator.getitem, *_ARITHMETIC)
}
_NUMBERS = {"inf": float("inf"), "-inf": float("-inf"), "nan": float("nan")}


def _by_name(kind: str, value: Any) -> dict[str, Any]:
    return {kind: str(value).removeprefix("torch.")}


def target_text(target: Any) -> str:
    """The name of an operation: `aten.relu.default`, or `operator.getitem`, `operator.mul`, ...

    Raises:
        NetworkError: it is no operation of torch's.
    """
    if isinstance(target, torch._ops.OpOverload):
        return f"{target.namespace}.{target._schema.name.partition('::')[2]}.{target._overloadname}"
    for name, function in _FUNCTIONS.items():
        if target is function:
            return name
    raise NetworkError(f"{target} is no operation that a bundle can hold")


def target_of(text: str) -> Any:
    """The operation of this name.

    Raises:
        NetworkError: torch has none.
    """
    if text in _FUNCTIONS:
        return _FUNCTIONS[text]
    namespace, _, rest = text.partition(".")
    name, _, overload = rest.rpartition(".")
    try:
        found = getattr(getattr(getattr(torch.ops, namespace), name), overload)
    except (AttributeError, RuntimeError) as error:
        raise NetworkError(f"this version of torch has no operation {text!r}: load the bundle with another") from error
    if not isinstance(found, torch._ops.OpOverload):
        raise NetworkError(f"{text!r} is no operation of torch")
    return found


def argument_json(value: Any) -> Any:
    """An argument as JSON: nodes by name, numbers as they are.

    Raises:
        NetworkError: it is of a kind that a bundle cannot hold.
    """
    plain = isinstance(value, bool | int | str) or (isinstance(value, float) and str(value) not in _NUMBERS)
    if value is None or plain:
        return value
    if isinstance(value, list | tuple):
        return [argument_json(item) for item in value]
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    raise NetworkError(f"an argument of the kind {type(value).__name__} cannot be held by a bundle")


_WRITERS: tuple[tuple[type[Any], Callable[[Any], dict[str, Any]]], ...] = (
    (fx.Node, lambda value: {"node": value.name}),
    (float, lambda value: {"float": str(value)}),
    (torch.device, lambda value: {"device": str(value)}),
    (slice, lambda value: {"slice": [argument_json(part) for part in (value.start, value.stop, value.step)]}),
    (dict, lambda value: {"dict": [[argument_json(key), argument_json(item)] for key, item in value.items()]}),
    *((of_kind, partial(_by_name, kind)) for kind, of_kind in _NAMED),
)


def argument_of(value: Any, nodes: Mapping[str, fx.Node]) -> Any:
    """The argument that JSON stands for.

    Raises:
        NetworkError: it names a node or a value that there is not.
    """
    if isinstance(value, list):
        return [argument_of(item, nodes) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, inner),) = value.items()
    readers: dict[str, Callable[[], Any]] = {
        "node": lambda: nodes[inner],
        "float": lambda: _NUMBERS[inner],
        "device": lambda: torch.device("cpu"),
        "slice": lambda: slice(*argument_of(inner, nodes)),
        "dict": lambda: {argument_of(key, nodes): argument_of(item, nodes) for key, item in inner},
    }
    try:
        return readers.get(kind, lambda: _named(kind, inner))()
    except KeyError as error:
        raise NetworkError(f"the bundle's graph names {inner!r}, which is not there") from error


def _named(kind: str, name: str) -> Any:
    """A value of torch by its kind and name."""
    of_kind = dict(_NAMED).get(kind)
    found = getattr(torch, str(name), None)
    if of_kind is None or not isinstance(found, of_kind):
        raise NetworkError(f"the bundle's graph holds {kind} {name!r}, which torch does not know")
    return found
