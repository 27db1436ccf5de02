"""Names that bytecode reads, imports and writes."""

import dis
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import final

_READS_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_WRITES_GLOBAL = {"STORE_GLOBAL", "DELETE_GLOBAL"}
_MUTATES_ITEM = {"STORE_SUBSCR", "DELETE_SUBSCR"}
_SILENT = {"CACHE", "EXTENDED_ARG", "NOP", "PUSH_NULL", "PRECALL", "RESUME"}
_MUTATORS = {
    *("append", "appendleft", "extend", "insert", "remove", "pop", "popleft", "popitem", "clear", "add", "discard"),
    *("update", "setdefault", "move_to_end", "sort", "reverse", "fill", "put"),
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Names whose values the code itself changes: counters and stores of results, which are no inputs.

    Attributes:
        variables: of an enclosing function, and parameters, whose default may be changed.
        shared: globals.
        attributes: of any object.
    """

    variables: frozenset[str]
    shared: frozenset[str]
    attributes: frozenset[str]


def nested(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the functions, classes and comprehensions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested(constant)


def globals_read(code: CodeType) -> list[str]:
    """Names of the globals and builtins that are read, sorted."""
    return sorted({str(step.argval) for step in _steps(code) if step.opname in _READS_GLOBAL})


def names_used(code: CodeType) -> frozenset[str]:
    """Every name that may be an attribute: those of the code, and its short texts for `getattr`."""
    names: set[str] = set()
    for part in nested(code):
        names.update(part.co_names)
        names.update(text for text in part.co_consts if isinstance(text, str) and text.isidentifier())
    return frozenset(names)


def modules_imported(code: CodeType) -> list[tuple[int, str]]:
    """Level and name of each import statement, sorted."""
    found = set()
    for part in nested(code):
        steps = _plain(part)
        for at, step in enumerate(steps):
            if step.opname == "IMPORT_NAME":
                level = steps[at - 2].argval if at >= 2 else 0
                found.add((level if isinstance(level, int) else 0, str(step.argval)))
    return sorted(found)


def written(code: CodeType) -> Written:
    """The names that the code assigns beyond its own variables, or whose items it changes."""
    found: dict[str, set[str]] = {"variables": set(), "shared": set(), "attributes": set()}
    for part in nested(code):
        steps = _plain(part)
        for at, step in enumerate(steps):
            if step.opname in _WRITES_GLOBAL:
                found["shared"].add(str(step.argval))
            elif step.opname == "STORE_DEREF" and step.argval in part.co_freevars:
                found["variables"].add(str(step.argval))
            elif step.opname == "STORE_ATTR":
                found["attributes"].add(str(step.argval))
            elif step.opname in _MUTATES_ITEM:
                _note(_container(steps, at), found)
            elif step.opname in {"LOAD_METHOD", "LOAD_ATTR"} and step.argval in _MUTATORS and at:
                _note(steps[at - 1], found)
    return Written(**{kind: frozenset(names) for kind, names in found.items()})


def _steps(code: CodeType) -> Iterator[dis.Instruction]:
    for part in nested(code):
        yield from dis.get_instructions(part)


def _plain(code: CodeType) -> list[dis.Instruction]:
    return [step for step in dis.get_instructions(code) if step.opname not in _SILENT]


def _note(step: dis.Instruction | None, found: dict[str, set[str]]) -> None:
    """Adds the name that a step loads."""
    if step is None:
        return
    if step.opname.startswith("LOAD_ATTR"):
        found["attributes"].add(str(step.argval))
    elif step.opname in _READS_GLOBAL:
        found["shared"].add(str(step.argval))
    elif step.opname.startswith(("LOAD_FAST", "LOAD_DEREF")):
        names: Iterable[object] = step.argval if isinstance(step.argval, tuple) else (step.argval,)
        found["variables"].update(str(name) for name in names)


def _container(steps: list[dis.Instruction], at: int) -> dis.Instruction | None:
    """The step that loads the container whose item step `at` changes: the one before its key is computed."""
    at -= 1
    if at >= 0 and steps[at].opname == "SWAP":
        # x[key] += 1 copies container and key before it reads the item.
        while at >= 0 and steps[at].opname != "COPY":
            at -= 1
        while at >= 0 and steps[at].opname == "COPY":
            at -= 1
    needed = 1
    while at >= 0:
        step = steps[at]
        needed -= dis.stack_effect(step.opcode, step.arg, jump=False)
        at -= 1
        if needed <= 0:
            return steps[at] if needed == 0 and at >= 0 else step
    return None
