"""The structure of evo_qnas: sizes of files and functions, and no ring of imports anywhere."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "evo_qnas"
MOST_LINES = 300
MOST_BODY_LINES = 50
FILES = sorted(PACKAGE.rglob("*.py"))
Graph = dict[str, set[str]]


def short(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body; its signature and docstring do not count."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def module_of(path: Path, package: Path = PACKAGE) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, modules: set[str]) -> Iterator[str]:
    """The modules of the package that a file imports, at its top or inside a function.

    `from package import name` counts as the module `package.name` where there is one, as the package itself otherwise.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from [name for name in (inner, node.module) if name in modules][:1]


def import_graph(package: Path) -> Graph:
    files = {module_of(path, package): path for path in package.rglob("*.py")}
    return {module: set(imports(path, set(files))) for module, path in files.items()}


def rings(graph: Graph) -> list[list[str]]:
    """Strongly connected components of more than one module, and modules that import themselves (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            ring = sorted(stack[place:])
            del stack[place:]
            if len(ring) > 1 or module in graph[module]:
                found.append(ring)

    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10 * len(graph)))
    for module in sorted(graph):
        if module not in number:
            visit(module)
    return found


@pytest.mark.parametrize("path", FILES, ids=short)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= MOST_LINES, f"{short(path)} has {lines} lines, over {MOST_LINES}: split it"
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{node.name} ({body_lines(node)})" for node in functions if body_lines(node) > MOST_BODY_LINES]
    assert long == [], f"{short(path)} has function bodies over {MOST_BODY_LINES} lines: split them"


def test_no_modules_import_each_other_in_a_ring() -> None:
    found = ["\n  ".join(ring) for ring in rings(import_graph(PACKAGE))]
    assert found == [], "modules that import each other in a ring:\n  " + "\n\n  ".join(found)


def test_rings_are_found_whichever_way_they_are_imported(tmp_path: Path) -> None:
    package = tmp_path / "made"
    (package / "inner").mkdir(parents=True)
    texts = {
        "__init__.py": "from made.inner import b\n",
        "alone.py": "import os\nfrom made.leaf import thing\n",
        "leaf.py": "thing = 1\n",
        "inner/__init__.py": "",
        "inner/b.py": "def late():\n    import made.inner.c\n",
        "inner/c.py": "from made.inner.d import x\n",
        "inner/d.py": "from made.inner import b\nx = 1\n",
        "own.py": "from made import own\n",
    }
    for name, text in texts.items():
        (package / name).write_text(text)
    assert import_graph(package)["made.alone"] == {"made.leaf"}
    assert rings(import_graph(package)) == [["made.inner.b", "made.inner.c", "made.inner.d"], ["made.own"]]


def test_a_body_is_counted_without_its_docstring() -> None:
    text = 'def f(\n    a,\n):\n    """One.\n\n    Two.\n    """\n    b = a\n\n    return b\n'
    (node,) = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    assert body_lines(node) == 3
