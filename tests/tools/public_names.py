"""The public names of evo_qnas with their signatures, as text; a change of them is to be seen in a diff.

    python -m tests.tools.public_names        # writes tests/public_names.txt

Public is what the `__all__` of a module or package lists, and the members of its classes that have no underscore in
front. The source is read, nothing is imported: the listing is the same with and without the optional libraries.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LISTING = ROOT / "tests" / "public_names.txt"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
KINDS = {"property", "classmethod", "staticmethod", "abstractmethod", "cached_property"}
Modules = dict[str, ast.Module]


def listing(root: Path = ROOT, package: str = "evo_qnas") -> str:
    """All public names, a module a paragraph."""
    modules = modules_of(root, package)
    exported = {module: names for module, tree in modules.items() if (names := exported_names(tree))}
    parts = []
    for module, names in sorted(exported.items()):
        lines = [line for name in sorted(names) for line in _described(module, name, modules, exported)]
        parts.append("\n".join([module, *(f"    {line}" for line in lines)]) + "\n")
    return "\n".join(parts)


def modules_of(root: Path, package: str) -> Modules:
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
        stub = path.with_suffix(".pyi")
        if stub.exists():  # of names that are loaded when they are used
            found[name].body += ast.parse(stub.read_text(encoding="utf-8")).body
    return found


def exported_names(tree: ast.Module) -> list[str]:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            return list(ast.literal_eval(node.value))
    return []


def _described(module: str, name: str, modules: Modules, exported: dict[str, list[str]]) -> Iterator[str]:
    """A name with its signature; a name that an inner package exports as well is told there."""
    home, node = definition(module, name, modules)
    inner = [
        other for other, names in exported.items() if name in names and _within(home, other) and _within(other, module)
    ]
    nearest = max(inner, key=len, default=module)
    if nearest != module:
        yield f"{name}: see {nearest}"
    elif isinstance(node, ast.ClassDef):
        yield _heading(node)
        yield from (f"    {line}" for line in _members(node))
    elif isinstance(node, FUNCTIONS):
        yield _signature(node)
    elif isinstance(node, ast.AnnAssign):
        yield f"{name}: {ast.unparse(node.annotation)}"
    else:
        yield name


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}.")


def definition(module: str, name: str, modules: Modules) -> tuple[str, ast.stmt | None]:
    """The module and statement that define a name, behind re-exports; None for one that is made otherwise."""
    if f"{module}.{name}" in modules and not _made_here(modules[module], name):
        return f"{module}.{name}", None
    for node in modules[module].body:
        if isinstance(node, (ast.ClassDef, *FUNCTIONS)) and node.name == name:
            return module, node
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name:
            return module, node
        if isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return definition(node.module, alias.name, modules)
    return module, None


def _made_here(tree: ast.Module, name: str) -> bool:
    """True where a name of a package comes from one of its own modules, and is no module."""
    return any(
        isinstance(node, ast.ImportFrom) and (node.module or "").endswith(f".{name}")
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == name for alias in node.names)
    )


def _heading(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in (*node.bases, *(keyword.value for keyword in node.keywords))]
    return f"class {node.name}({', '.join(bases)})" if bases else f"class {node.name}"


def _members(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and not ast.unparse(statement.target).startswith("_"):
            yield ast.unparse(statement)
        elif isinstance(statement, FUNCTIONS) and (statement.name == "__init__" or not statement.name.startswith("_")):
            yield _signature(statement)


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    marks = [ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list]
    result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    kinds = "".join(f"@{mark} " for mark in marks if mark in KINDS)
    return f"{kinds}{node.name}({ast.unparse(node.args)}){result}"


if __name__ == "__main__":
    LISTING.write_text(listing(), encoding="utf-8")
    print(f"wrote {LISTING}")
