"""Mutants of functions: one small change of one statement each, drawn by a seed.

Text is left alone: docstrings, f-strings, the arguments of a raised error, annotations and signatures are not mutated;
nor is `strict` of `zip`, which checks what already holds. An argument is returned only where it has the result's type.
"""

import ast
import copy
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
EXTREMES = {
    **{"min": "max", "argmin": "argmax", "amin": "amax", "minimum": "maximum", "clamp_min": "clamp_max"},
    **{"floor": "ceil", "all": "any", "fmin": "fmax", "nanmin": "nanmax"},
}
EXTREMES |= {other: one for one, other in EXTREMES.items()}
AXES = {0: 1, 1: 0, -1: 0, 2: 1}
REMOVABLE = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed statement of one function; `lines` are those of the statement before the change."""

    path: str
    function: str
    operator: str
    lines: tuple[int, int]
    before: str
    after: str
    source: str

    @property
    def part(self) -> str:
        """The folder of `tests` that mirrors the mutated file, `pareto` or `networks/quantization`."""
        folders = Path(self.path).parts[1:]
        return "/".join(folders[: 2 if folders[0] == "networks" else 1]).removesuffix(".py")

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Names the mutant by what it says, wherever in its part the function stands."""
        return self.part, self.function, self.before, self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One function of one file; `name` is its qualified name."""

    path: str
    name: str
    source: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Text that takes the place of a node in the file."""

    operator: str
    node: ast.stmt | ast.expr
    text: str


def functions(root: Path, parts: list[str]) -> list[Function]:
    """All functions of the named parts of evo_qnas that have something to mutate, nested ones too."""
    found: list[Function] = []
    for part in parts:
        folder = root / "evo_qnas" / part
        for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]:
            source = path.read_text(encoding="utf-8")
            name = path.relative_to(root).as_posix()
            found += [
                Function(path=name, name=qualified, source=source, node=node)
                for qualified, node in _functions(ast.parse(source), "")
                if "pragma: no cover" not in source.splitlines()[node.lineno - 1]
            ]
    return found


def draw(pool: list[Function], count: int, seed: int) -> Iterator[Mutant]:
    """`count` mutants: functions in an order given by seed and name, one of each, then a second one of each, and so on.

    The operator is drawn first, then the place. A change of one function leaves the draws of all others as they are.
    Of equal changes of two functions of one name in a part only the first is drawn.
    """
    order = sorted(pool, key=lambda function: _hash(seed, function.path.split("/")[1], function.name))
    waiting = [(function, _ordered(function, seed)) for function in order]
    made: set[tuple[str, str, str, str]] = set()
    while waiting:
        left = []
        for function, changes in waiting:
            mutant = next((m for m in (_mutant(function, change) for change in changes) if m is not None), None)
            if mutant is not None:
                left.append((function, changes))
                if mutant.key in made:
                    continue
                made.add(mutant.key)
                yield mutant
                if len(made) == count:
                    return
        waiting = left


def _ordered(function: Function, seed: int) -> Iterator[Change]:
    groups: dict[str, list[Change]] = {}
    for change in changes_of(function.node):
        groups.setdefault(change.operator, []).append(change)
    names = sorted(groups, key=lambda name: _hash(seed, function.name, name))
    for name in names:
        groups[name].sort(key=lambda c: _hash(seed, function.name, name, ast.dump(c.node), c.text))
    for turn in range(max(map(len, groups.values()), default=0)):
        yield from (groups[name][turn] for name in names if turn < len(groups[name]))


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, FUNCTIONS):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _mutant(function: Function, change: Change) -> Mutant | None:
    """The mutant of a change, nothing where it is no Python or no change."""
    source = _replaced(function.source, change.node, change.text)
    statement = _statement(function.node, change.node)
    try:
        compile(source, function.path, "exec")
        start = (statement.lineno, statement.col_offset)
        changed = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt) and _start(n) == start)
        before, after = _header(statement), _header(changed)
    except (SyntaxError, ValueError, StopIteration):
        return None
    last = getattr(statement, "body", None)
    end = last[0].lineno - 1 if last else statement.end_lineno
    return None if before == after else Mutant(
        path=function.path,
        function=function.name,
        operator=change.operator,
        lines=(statement.lineno, max(statement.lineno, end or statement.lineno)),
        before=before,
        after=after,
        source=source,
    )  # fmt: skip


def _start(node: ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _statement(function: ast.AST, node: ast.AST) -> ast.stmt:
    """The innermost statement that holds a node."""
    found = None
    for statement in ast.walk(function):
        if isinstance(statement, ast.stmt) and any(inner is node for inner in _own(statement)):
            found = statement
    assert found is not None
    return found


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """A statement's nodes without those of the statements inside it."""
    yield statement
    stack: list[ast.AST] = [statement]
    while stack:
        for child in ast.iter_child_nodes(stack.pop()):
            if not isinstance(child, ast.stmt):
                yield child
                stack.append(child)


def _header(statement: ast.stmt) -> str:
    """A statement's text without the statements inside it."""
    bare = copy.copy(statement)
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        if isinstance(getattr(bare, field, None), list):
            setattr(bare, field, [ast.Expr(ast.Constant(...))] if field == "body" else [])
    return ast.unparse(bare)


def _replaced(source: str, node: ast.stmt | ast.expr, text: str) -> str:
    """The file with a node's text replaced; columns of the syntax tree count bytes."""
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    lines = source.encode().splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in (node.lineno - 1, node.end_lineno - 1)]
    data = b"".join(lines)
    return (data[: starts[0] + node.col_offset] + text.encode() + data[starts[1] + node.end_col_offset :]).decode()


def changes_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Change]:
    """All changes of a function's own body."""
    given = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    result = _base(function.returns)
    arguments = [argument.arg for argument in given if result and _base(argument.annotation) == result]
    for statement in function.body:
        for node in _walk(statement):
            try:
                yield from _removed(node)
                yield from _returned(node, arguments)
                yield from _negated(node)
                yield from _swapped(node)
                yield from _called(node)
                yield from _constant(node)
            except ValueError:  # an f-string that ast cannot write down
                continue


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes in which a change is a change of behaviour."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "format_spec", "ctx", "op", "ops"} or isinstance(node, (ast.JoinedStr, ast.Raise)):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast" and name == "args":
            value = node.args[1:]  # noqa: PLW2901
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                yield from _walk(child)


def _base(annotation: ast.expr | None) -> str:
    """A type without its parameters, `Float` of `Float[np.ndarray, "n"]`."""
    return ast.unparse(annotation.value if isinstance(annotation, ast.Subscript) else annotation) if annotation else ""


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"


def _removed(node: ast.AST) -> Iterator[Change]:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    kept = docstring or (isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets))
    if isinstance(
        node, ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.Continue | ast.Break | ast.Delete
    ) and not (docstring or kept):
        yield Change(operator="removed statement", node=node, text="pass")


def _returned(node: ast.AST, arguments: list[str]) -> Iterator[Change]:
    if isinstance(node, ast.Return) and node.value is not None and arguments:
        for name in arguments:
            yield Change(operator="returned argument", node=node, text=f"return {name}")


def _negated(node: ast.AST) -> Iterator[Change]:
    tests = node.ifs if isinstance(node, ast.comprehension) else []
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        tests = [node.test]
    for test in tests:
        yield Change(operator="negated condition", node=test, text=f"(not {_text(test)})")
    if isinstance(node, ast.BoolOp):
        other = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        yield Change(operator="and/or", node=node, text=_text(other))
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Is | ast.IsNot):
        guard = node.comparators[0]
        if isinstance(guard, ast.Constant) and guard.value is None:
            yield Change(operator="None guard", node=node, text=str(isinstance(node.ops[0], ast.IsNot)))


def _swapped(node: ast.AST) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            ops = [*node.ops[:place], COMPARISONS[type(operator)](), *node.ops[place + 1 :]]
            text = _text(ast.Compare(node.left, ops, node.comparators))
            yield Change(operator="comparison", node=node, text=text)
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        text = _text(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))
        yield Change(operator="arithmetic", node=node, text=text)
    if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
        text = ast.unparse(ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value))
        yield Change(operator="arithmetic", node=node, text=text)


def _called(node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in EXTREMES:
        func = copy.copy(node.func)
        setattr(func, "attr" if isinstance(func, ast.Attribute) else "id", EXTREMES[name])
        yield Change(operator="min/max", node=node, text=_text(ast.Call(func, node.args, node.keywords)))
    for place, keyword in enumerate(node.keywords):
        if keyword.arg is not None and name != "zip":
            left = [*node.keywords[:place], *node.keywords[place + 1 :]]
            yield Change(operator="dropped keyword", node=node, text=_text(ast.Call(node.func, node.args, left)))
        value = keyword.value.operand if isinstance(keyword.value, ast.UnaryOp) else keyword.value
        if keyword.arg in {"axis", "dim"} and isinstance(value, ast.Constant) and isinstance(value.value, int):
            number = -value.value if value is not keyword.value else value.value
            yield Change(operator="axis", node=keyword.value, text=str(AXES.get(number, 0)))


def _constant(node: ast.AST) -> Iterator[Change]:
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield Change(operator="boolean", node=node, text=str(not node.value))
    elif isinstance(node.value, int | float):
        for value in dict.fromkeys((node.value + 1, node.value - 1, node.value * 2)):
            if value != node.value:
                yield Change(operator="constant", node=node, text=f"({value!r})")
