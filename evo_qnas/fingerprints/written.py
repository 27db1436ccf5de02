"""Variables and attributes that the code itself changes when it is called."""

from collections.abc import Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any, final

from evo_qnas.fingerprints.code import Written, names_used, written


@final
class Changed:
    """What is no input, because the code writes it.

    Attributes:
        attributes: names, of any object.
    """

    def __init__(
        self,
        attributes: frozenset[str] = frozenset(),
        variables: Mapping[CodeType, frozenset[str]] | None = None,
        shared: frozenset[tuple[int, str]] = frozenset(),
    ) -> None:
        self.attributes = attributes
        self._variables = variables or {}
        self._shared = shared

    def variables_of(self, code: CodeType) -> frozenset[str]:
        """Variables of enclosing functions and parameters that a code changes."""
        return self._variables.get(code, frozenset())

    def writes(self, space: Mapping[str, Any], name: str) -> bool:
        """True for a global that a function of its module changes."""
        return (id(space), name) in self._shared


@final
class Found:
    """The functions that a walk has found, and which of them are methods."""

    def __init__(self) -> None:
        self._functions: dict[int, FunctionType] = {}
        self._methods: dict[int, set[str]] = {}
        self._called: set[str] = set()

    def function(self, value: FunctionType) -> None:
        """Takes a function down."""
        self._functions[id(value)] = value

    def method(self, name: str, member: Any) -> None:
        """Takes down that a class has a function under this name."""
        inner = [member, *(getattr(member, part, None) for part in ("__func__", "fget", "func"))]
        for function in inner:
            if isinstance(function, FunctionType):
                self._methods.setdefault(id(function), set()).add(name)

    def called(self, name: str) -> None:
        """Takes down that a method of this name is called."""
        self._called.add(name)

    def changed(self, entries: Iterable[str]) -> Changed:
        """What the functions change that a call can reach; of methods those whose name is used from there."""
        names, active = {*entries, *self._called}, dict[int, Written]()
        waiting = True
        while waiting:
            waiting = False
            for key, function in self._functions.items():
                methods = self._methods.get(key)
                if key not in active and (methods is None or methods & names):
                    active[key] = written(function.__code__)
                    names |= names_used(function.__code__)
                    waiting = True
        return Changed(
            attributes=frozenset(name for one in active.values() for name in one.attributes),
            variables={self._functions[key].__code__: one.variables for key, one in active.items()},
            shared=frozenset(
                (id(self._functions[key].__globals__), name) for key, one in active.items() for name in one.shared
            ),
        )
