"""The documentation's pages of commands and of what there is, from the command line itself.

`python -m evo_qnas.cli.reference docs/reference` writes `commands.md` and `lists.md`.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from evo_qnas.cli import app
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
        if command.epilog:
            yield from _text(command.epilog)
        yield from _parameters(command)
    for key, sub in inner.items():
        yield from _command(sub, f"{name} {key}")


def _text(text: str) -> Iterator[str]:
    """Help as paragraphs, its examples as one block of code."""
    examples = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        plain = " ".join(paragraph.split())
        example = plain.removeprefix("Example: ")
        if plain.startswith("evo-qnas ") or example != plain:
            examples.append(example)
        elif plain != "Examples:":
            yield f"{plain}\n"
    if examples:
        yield "\n".join(["```text", *examples, "```\n"])


def _parameters(command: Any) -> Iterator[str]:
    """A row for each argument and option."""
    yield "| argument or option | what | default |"
    yield "|---|---|---|"
    for parameter in command.params:
        option = parameter.param_type_name == "option"
        names = (
            [*parameter.opts, *parameter.secondary_opts] if option else [parameter.metavar or parameter.name.upper()]
        )
        default = parameter.default
        shown = (
            ""
            if default is None or default is False or callable(default) or parameter.required
            else f"`{_plain(default)}`"
        )
        needed = " (must be given)" if parameter.required and option else ""
        yield f"| {' '.join(f'`{name}`' for name in names)} | {_cell(parameter.help or '')}{needed} | {shown} |"
    yield ""


def _plain(value: Any) -> str:
    return str(getattr(value, "value", value))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "lists.md").write_text(lists_page(), encoding="utf-8")
