"""The pages of the Python interface: every public name, described by its docstring when the site is built.

    python -m tests.tools.api_pages        # writes docs/reference/api/

A page has a table of its names, which can be read as it is, and the directives that mkdocstrings fills. Modules of one
package that are no packages themselves share a page.
"""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TypeGuard

from tests.tools.public_names import ROOT, Modules, definition, exported_names, modules_of

FOLDER = ROOT / "docs" / "reference" / "api"
_NOTE = "<!-- Written by `python -m tests.tools.api_pages`; a test compares it with the sources. -->\n"
_MODULES = {"metrics": "evo_qnas.metrics"}
_RENAMED = {"blocks": ("evo_qnas.networks.candidates.listing", "possible_blocks")}
_LONGEST = 200  # characters of a constant that a line holds
_GROUPS = ("evo_qnas.networks.capture", "evo_qnas.networks.quantization")


def pages(root: Path = ROOT) -> dict[str, str]:
    """The text of each page by its file's name."""
    modules = modules_of(root, "evo_qnas")
    exported = {module: names for module, tree in modules.items() if (names := exported_names(tree))}
    texts: dict[str, list[str]] = {}
    for module in sorted(exported):
        page = texts.setdefault(file_of(module), [_NOTE, f"# {title_of(module)}\n"])
        if title_of(module) != module:
            page.append(f"## {module}\n")
        page += _section(module, modules, exported)
    made = {name: "\n".join(parts) for name, parts in texts.items()}
    return {**made, "index.md": _index(made, modules)}


def title_of(module: str) -> str:
    """The module or the group whose page describes a module."""
    return next((group for group in _GROUPS if module.startswith(f"{group}.")), module)


def file_of(module: str) -> str:
    """The name of the page of a module."""
    return f"{title_of(module)}.md"


def _section(module: str, modules: Modules, exported: dict[str, list[str]]) -> Iterator[str]:
    """What a module is, a table of its names, and a directive for each that is at home here."""
    yield f"{ast.get_docstring(modules[module]) or ''}\n"
    rows, directives = ["| name | |", "|---|---|"], []
    for name in sorted(exported[module]):
        if name.startswith("__"):
            rows.append(f"| `{name}` | The version of the installed package. |")
            continue
        other, home, about = _looked_up(module, name, modules, exported)
        anchor = "" if home == other else f"#{home}"
        rows.append(f"| [`{name}`]({'' if other == module else file_of(other)}{anchor}) | {about} |")
        if other == module:
            directives.append(_constant(home, modules) or f"::: {home}\n")
    yield "\n".join(rows) + "\n"
    yield from directives


def _looked_up(module: str, name: str, modules: Modules, exported: dict[str, list[str]]) -> tuple[str, str, str]:
    """The module whose page describes a name, its full name there, and its first sentence."""
    home, node = definition(module, name, modules)
    if node is None and home == module and not _assigned(modules[module], name):
        home, node = _found_later(module, name, modules)
    if home in modules and node is None and home.rpartition(".")[2] == name:
        return (home if home in exported else module), home, _first(modules[home])
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        name = node.name
        node = next((each for each in modules[home].body if _defines(each, name)), node)
    inner = [other for other, names in exported.items() if name in names and f"{home}.".startswith(f"{other}.")]
    about = _first(node) if isinstance(node, ast.ClassDef | ast.FunctionDef) else ""
    return max(inner, key=len, default=module), f"{home}.{name}", about


def _constant(home: str, modules: Modules) -> str:
    """What is said of a name that is neither class nor function nor module: the statement that defines it."""
    module, _, name = home.rpartition(".")
    if home in modules or not _assigned(modules[module], name):
        return ""
    for statement in modules[module].body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and _gives(statement, name):
            text = ast.unparse(statement)
            if len(text) > _LONGEST:
                text = f"{name}: {ast.unparse(statement.annotation)}" if isinstance(statement, ast.AnnAssign) else name
            return f"## `{name}` {{ #{home} }}\n\n`{text}`\n"
    return ""


def _gives(statement: ast.Assign | ast.AnnAssign, name: str) -> bool:
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return any(node.id == name and isinstance(node.ctx, ast.Store) for node in names)


def _found_later(module: str, name: str, modules: Modules) -> tuple[str, ast.stmt | None]:
    """Where a name is defined that its package loads when it is first used: a name of another package, or a module."""
    if name in _MODULES:
        return _MODULES[name], None
    place, function = _RENAMED.get(name) or (vars(import_module(module))["_LATER"][name], name)
    return definition(place, function, modules)


def _defines(node: ast.stmt, name: str) -> TypeGuard[ast.ClassDef | ast.FunctionDef]:
    """True for the definition of a name that has a docstring; overloads have none."""
    return isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name and bool(ast.get_docstring(node))


def _assigned(tree: ast.Module, name: str) -> bool:
    """True where a statement of the module gives a name its value."""
    return any(isinstance(node, ast.Assign | ast.AnnAssign) and _gives(node, name) for node in tree.body)


def _first(node: ast.ClassDef | ast.FunctionDef | ast.Module) -> str:
    """The first paragraph of a docstring, as a cell of a table."""
    text = (ast.get_docstring(node) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def _index(made: dict[str, str], modules: Modules) -> str:
    """The list of pages."""
    rows = [f"| [{name[:-3]}]({name}) | {_first(modules[name[:-3]])} |" for name in sorted(made)]
    head = "# Python interface\n\nEvery public name, a page for each module. `import evo_qnas as eq` has what most\n"
    return (
        "\n".join([_NOTE, head + "scripts need: [evo_qnas](evo_qnas.md).\n", "| module | |", "|---|---|", *rows]) + "\n"
    )


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.md"):
        old.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {FOLDER}")
