"""The documentation's pages of commands and of what there is, from the command line itself.

`python -m evo_qnas.cli.reference docs/reference` writes `commands.md` and `lists.md`.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from evo_qnas.cli import app
from evo_qnas.cli.help_pages import default_of, names_of, paragraphs
from evo_qnas.cli.list import KINDS

_COMMANDS = """# Commands

Every verb of `evo-qnas` with its options. Written by `python -m evo_qnas.cli.reference docs/reference`; a test compares
it with the command line. Progress goes to stderr, results to stdout. Exit codes: 0 done, 1 a check failed, 2 refused in
one sentence, 128 + n ended by signal n.
"""
_LISTS = """# What there is

What `evo-qnas list KIND` prints on a plain installation. Written by `python -m evo_qnas.cli.reference docs/reference`;
a test compares it with the registries. How to add one of your own: [extending](../extending.md).
"""
# Kinds whose names come with evo_qnas; operations have a page of their own.
_KINDS = tuple(kind for kind in KINDS if kind != "operations")


def commands_page() -> str:
    """Every command with its arguments and options, in Markdown."""
    return "\n".join([_COMMANDS, *_command(typer.main.get_command(app), "evo-qnas")])


def lists_page() -> str:
    """Every kind of part with the names that come with evo_qnas, in Markdown."""
    lines = [_LISTS]
    for kind in _KINDS:
        lines += [f"## {kind}\n", "| name | |", "|---|---|"]
        lines += [f"| `{name}` | {_cell(text)} |" for name, text in KINDS[kind]().items()]
        lines.append("")
    return "\n".join(lines)


def _command(command: Any, name: str) -> Iterator[str]:
    """A command's section, then those of its sub-commands."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield f"## {name}\n"
        yield from _text(command.help or "")
        yield from _parameters(command)
    for key, sub in inner.items():
        yield from _command(sub, f"{name} {key}")


def _text(text: str) -> Iterator[str]:
    """Help as paragraphs, its examples as one block of code."""
    prose, examples = paragraphs(text)
    yield from (f"{_cell(paragraph)}\n" for paragraph in prose)
    if examples:
        yield "\n".join(["```text", *examples, "```\n"])


def _parameters(command: Any) -> Iterator[str]:
    """A row for each argument and option."""
    yield "| argument or option | what | default |"
    yield "|---|---|---|"
    for parameter in command.params:
        needed = " (must be given)" if parameter.required and parameter.param_type_name == "option" else ""
        default = default_of(parameter)
        shown = f"`{default}`" if default else ""
        yield f"| `{_cell(names_of(parameter))}` | {_cell(parameter.help or '')}{needed} | {shown} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "lists.md").write_text(lists_page(), encoding="utf-8")
