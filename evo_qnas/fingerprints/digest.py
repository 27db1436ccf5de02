"""The digest of a value and of all that it depends on."""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cached_property, partial
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, final

import numpy as np

from evo_qnas.fingerprints.code import globals_read, modules_imported, names_used
from evo_qnas.fingerprints.hashing import hashed, hashed_array, hashed_set
from evo_qnas.fingerprints.libraries import library_of
from evo_qnas.fingerprints.modules import imported_module
from evo_qnas.fingerprints.state import class_members, is_opaque, state_of
from evo_qnas.fingerprints.written import Changed, Found

_ATOMS = (type(None), bool, int, float, complex, str, bytes, bytearray, range, type(Ellipsis), type(NotImplemented))
_MODULE_FACTS = {"__builtins__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"}
# Of a code's flags those that change what a call gives: *args, **kwargs, generator, coroutine, asynchronous generator.
_FLAGS = 0x4 | 0x8 | 0x20 | 0x80 | 0x200


def digest(value: Any, *, entries: Iterable[str] = ("__call__",), ignored: Iterable[str] = ()) -> str:
    """A hex digest that changes when something changes that a call of `value` depends on.

    It covers bytecode and constants (not comments, names of files or lines), defaults, closures, the globals that are
    read, functions, classes and attributes of modules of the user's own, arguments of `functools.partial`, state of
    instances, arrays, and containers (the order of sets and mappings does not count). Installed libraries count by
    name and version.

    Equal inputs give equal digests in every process, thread and notebook: nothing is hashed by its address or `repr`.
    By type alone go generators of random numbers, locks, loggers, open files, iterators and what cannot be taken
    apart. By name alone go the variables, attributes and containers that the code itself writes: counters and stores of
    results. Contents of files and of other processes are not covered.

    Args:
        value: a callable, an instance or data.
        entries: methods that will be called, for what an instance itself writes.
        ignored: attributes that are no inputs.

    Example:
        >>> def times(factor):
        ...     return lambda x: factor * x
        >>> digest(times(2)) == digest(times(2)), digest(times(2)) == digest(times(-2))
        (True, False)
    """
    found = Found()
    _Digester(found, Changed(), frozenset(ignored), arrays=False).whole(value)
    return _Digester(Found(), found.changed(entries), frozenset(ignored), arrays=True).whole(value).hex()


@final
class _Digester:
    """One walk over everything reachable; functions and classes with a name of their own are visited once each."""

    def __init__(self, found: Found, changed: Changed, ignored: frozenset[str], *, arrays: bool) -> None:
        self._found = found
        self._changed = changed
        self._ignored = ignored | changed.attributes
        self._arrays = arrays
        self._done: dict[int, bytes] = {}
        self._path: dict[int, int] = {}
        self._alive: list[Any] = []
        self._waiting: list[FunctionType | type] = []

    def whole(self, value: Any) -> bytes:
        """The digest of a value together with the named functions and classes that it reaches."""
        root = self.of(value)
        contents = []
        while self._waiting:
            item = self._waiting.pop()
            contents.append(self._class(item) if isinstance(item, type) else self._function(item))
        return hashed("whole", root, *sorted(contents))

    def of(self, value: Any) -> bytes:
        """The digest of one value."""
        if type(value) in _ATOMS:
            return hashed("atom", type(value).__name__, repr(value))
        key = id(value)
        if key in self._done:
            return self._done[key]
        if key in self._path:
            return hashed("cycle", len(self._path) - self._path[key])
        self._path[key] = len(self._path)
        # An address is good for a key only while the object lives.
        self._alive.append(value)
        try:
            made = self._made(value)
        finally:
            del self._path[key]
        self._done[key] = made
        return made

    def _made(self, value: Any) -> bytes:
        for kinds, make in self._makers:
            if isinstance(value, kinds):
                return make(value)
        return self._instance(value)

    @cached_property
    def _makers(self) -> tuple[tuple[Any, Callable[[Any], bytes]], ...]:
        """Kinds and what digests them; the first that fits counts."""
        return (
            (Enum, lambda value: hashed("enum", self.of(type(value)), value.name, self.of(value.value))),
            (FunctionType, self._reference),
            (type, self._reference),
            (MethodType, self._method),
            (BuiltinFunctionType, self._builtin),
            (partial, lambda value: self._several("partial", value.func, value.args, value.keywords)),
            (CodeType, self._code),
            (ModuleType, lambda value: self._module(value, frozenset())),
            ((staticmethod, classmethod), lambda value: self._several(type(value).__name__, value.__func__)),
            (property, lambda value: self._several("property", value.fget, value.fset, value.fdel)),
            (cached_property, lambda value: self._several("property", value.func)),
            (np.ufunc, lambda value: hashed("ufunc", value.__name__, str(library_of("numpy")))),
            (np.vectorize, lambda value: self._several("vectorize", value.pyfunc, value.otypes, value.signature)),
            (np.dtype, lambda value: hashed("dtype", str(value))),
            ((np.ndarray, np.generic), self._array),
            (PurePath, lambda value: hashed("path", str(value))),
        )

    def _several(self, kind: str, *values: Any) -> bytes:
        return hashed(kind, *map(self.of, values))

    def _method(self, value: MethodType) -> bytes:
        self._found.called(value.__name__)
        return self._several("method", value.__self__, value.__func__)

    def _builtin(self, value: Any) -> bytes:
        owner = value.__self__
        bound = owner is not None and not isinstance(owner, ModuleType)
        name = hashed("builtin", str(value.__module__), value.__qualname__, str(library_of(value.__module__)))
        return hashed("bound", name, self.of(owner)) if bound else name

    def _array(self, value: Any) -> bytes:
        if not self._arrays:
            return b""
        marked = hashed_array(np.ma.getmaskarray(value)) if isinstance(value, np.ma.MaskedArray) else b""
        plain = np.asarray(value)
        if plain.dtype.hasobject:
            return hashed("objects", str(plain.shape), *map(self.of, plain.reshape(-1).tolist()))
        return hashed("array", hashed_array(plain), marked)

    def _reference(self, value: FunctionType | type) -> bytes:
        """A library's function or class by name and version; a user's by name where it has one, else by its content."""
        module = value.__globals__.get("__name__") if isinstance(value, FunctionType) else value.__module__
        library = library_of(module)
        if library is not None:
            inner = []
            if isinstance(value, FunctionType):
                inner = [self.of(cell) for cell in _cells(value).values()]
            return hashed("library", library, str(module), value.__qualname__, *inner)
        if isinstance(value, type):
            if "<" in value.__qualname__:
                return self._class(value)
            self._waiting.append(value)
            return hashed("class", value.__qualname__, *sorted(class_members(value)))
        if "<" in value.__qualname__ or value.__closure__:
            return self._function(value)
        self._waiting.append(value)
        return hashed("function", value.__qualname__, self._code(value.__code__, value.__doc__))

    def _class(self, value: type) -> bytes:
        members = {name: member for name, member in class_members(value).items() if name not in self._ignored}
        for name, member in members.items():
            self._found.method(name, member)
        bases = [self.of(base) for base in value.__bases__]
        return hashed("class", value.__qualname__, *bases, "members", self._named(members))

    def _function(self, value: FunctionType) -> bytes:
        code = value.__code__
        self._found.function(value)
        own = self._changed.variables_of(code)
        positional = code.co_varnames[: code.co_argcount]
        defaults = value.__defaults__ or ()
        values = {
            "defaults": dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True)),
            "keywords": dict(value.__kwdefaults__ or {}),
            "closure": _cells(value),
        }
        parts = [self._reached({n: v for n, v in part.items() if n not in own}, code) for part in values.values()]
        attributes = {name: item for name, item in vars(value).items() if name not in self._ignored}
        return hashed(
            "function",
            value.__qualname__,
            self._code(code, value.__doc__),
            *parts,
            self._globals(value),
            self._imports(value),
            self._named(attributes),
        )

    def _code(self, code: CodeType, doc: str | None = None) -> bytes:
        """Bytecode, names and constants; nothing of files, lines, comments or the function's docstring."""
        constants = list(code.co_consts)
        if constants and isinstance(constants[0], str) and constants[0] == doc:
            constants[0] = None
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FLAGS)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        return hashed("code", code.co_code, code.co_exceptiontable, repr(counts), repr(names), *map(self.of, constants))

    def _globals(self, function: FunctionType) -> bytes:
        """The globals that the function and those inside it read."""
        space = function.__globals__
        names = [name for name in globals_read(function.__code__) if name not in _MODULE_FACTS]
        own = {name: space[name] for name in names if name in space and not self._changed.writes(space, name)}
        return hashed(repr(names), self._reached(own, function.__code__))

    def _imports(self, function: FunctionType) -> bytes:
        """The modules that import statements inside the function name."""
        package = str(function.__globals__.get("__package__") or "")
        names = names_used(function.__code__)
        parts = []
        for level, name in modules_imported(function.__code__):
            library = None if level else library_of(name)
            module = None if library else imported_module(level, name, package)
            parts.append(hashed(name, library or "", b"" if module is None else self._module(module, names)))
        return hashed("imports", *parts)

    def _module(self, module: ModuleType, names: frozenset[str]) -> bytes:
        """A library by name and version, a module of the user's by its attributes of these names."""
        library = library_of(module.__name__)
        if library is not None or id(module) in self._path:
            return hashed("module", module.__name__, library or "")
        space = vars(module)
        known = sorted(name for name in names if name in space and not self._changed.writes(space, name))
        self._path[id(module)] = len(self._path)
        try:
            parts = [hashed(name, self._value(space[name], names)) for name in known if name not in _MODULE_FACTS]
        finally:
            del self._path[id(module)]
        return hashed("module", *parts)

    def _value(self, value: Any, names: frozenset[str]) -> bytes:
        return self._module(value, names) if isinstance(value, ModuleType) else self.of(value)

    def _reached(self, values: Mapping[str, Any], code: CodeType) -> bytes:
        """Values by name, modules among them by what `code` may use of them."""
        names = names_used(code) if any(isinstance(value, ModuleType) for value in values.values()) else frozenset()
        return hashed("reached", *(hashed(name, self._value(values[name], names)) for name in sorted(values)))

    def _named(self, values: Mapping[str, Any]) -> bytes:
        return hashed("named", *(hashed(name, self.of(values[name])) for name in sorted(values)))

    def _instance(self, value: Any) -> bytes:
        kind = type(value)
        head = hashed("instance", self.of(kind))
        if is_opaque(value):
            return head
        state = state_of(value, self._ignored)
        parts = [self._named(state.attributes), *map(self.of, state.parts)]
        if state.items is not None:
            parts.append(hashed_set(hashed(self.of(key), self.of(item)) for key, item in state.items.items()))
        if state.members is not None:
            parts.append(hashed_set(map(self.of, state.members)))
        return hashed("state", head, *parts)


def _cells(function: FunctionType) -> dict[str, Any]:
    """The variables of enclosing functions by name, those that have a value."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue
    return found
