"""Help of the command line: in groups, at most 80 columns wide, with examples that can be copied."""

import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any, final

import typer
from typer.core import TyperCommand, TyperGroup

ARGUMENTS, OPTIONS, OUTPUT = "Arguments", "Options", "Output"
_ORDER = {ARGUMENTS: 0, OPTIONS: 1, OUTPUT: 3}  # other groups are between
# Columns of names beside which their explanations stand. Chosen for 80 columns.
_NAMES = 30


@final
class Verb(TyperCommand):
    """A command with a help page of ours."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """The line of usage."""
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *map(_argument, _arguments(self))]))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, prose, arguments, options by group, examples."""
        prose, examples = paragraphs(self.help or "")
        self.format_usage(ctx, formatter)
        _write_prose(formatter, prose)
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in _shown(self, ctx):
            groups.setdefault(group_of(parameter), []).append((names_of(parameter), explanation(parameter)))
        for title, rows in sorted(groups.items(), key=lambda group: _ORDER.get(group[0], 2)):
            _write_rows(formatter, title, rows)
        if examples:
            formatter.write(f"\n{_title('Examples' if len(examples) > 1 else 'Example')}\n")
            formatter.write("".join(f"{line}\n" for example in examples for line in _folded(example)))


@final
class Verbs(TyperGroup):
    """A command that holds others, with a help page of ours."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """The line of usage."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] COMMAND ...")

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Usage, prose, commands by group, options."""
        self.format_usage(ctx, formatter)
        _write_prose(formatter, paragraphs(self.help or "")[0])
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command: Any = self.get_command(ctx, name)
            first = (paragraphs(command.help or "")[0] or [""])[0]
            groups.setdefault(_panel(command) or "Commands", []).append((name, first))
        for title, rows in groups.items():
            _write_rows(formatter, title, rows)
        rows = [(names_of(parameter), explanation(parameter)) for parameter in _shown(self, ctx)]
        _write_rows(formatter, OPTIONS, rows)


def paragraphs(text: str) -> tuple[list[str], list[str]]:
    """Prose of a help text, paragraph by paragraph, and its examples."""
    prose, examples = [], []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        flat = " ".join(paragraph.split())
        example = flat.removeprefix("Example: ")
        if flat.startswith("evo-qnas ") or example != flat:
            examples.append(example)
        elif flat and flat != "Examples:":
            prose.append(flat)
    return prose, examples


def group_of(parameter: Any) -> str:
    """The heading under which a parameter stands."""
    return _panel(parameter) or (OPTIONS if parameter.param_type_name == "option" else ARGUMENTS)


def names_of(parameter: Any) -> str:
    """An option's names with what they take, or an argument."""
    if parameter.param_type_name != "option":
        return _argument(parameter)
    short = sorted(parameter.opts, key=len)
    names = ", ".join(short) + "".join(f" / {name}" for name in parameter.secondary_opts)
    return names if parameter.is_flag else f"{names} {parameter.metavar}"


def explanation(parameter: Any) -> str:
    """The help of a parameter, with its default where that is a value."""
    text, default = parameter.help or "", default_of(parameter)
    needed = parameter.required and parameter.param_type_name == "option"
    return f"{text} [required]" if needed else f"{text} [default: {default}]" if default else text


def default_of(parameter: Any) -> str:
    """The default value as it would be typed; nothing where the help says it, or there is none."""
    value = parameter.default
    if parameter.required or value is None or callable(value) or parameter.show_default is False:
        return ""
    if isinstance(value, bool):
        names = parameter.opts if value else parameter.secondary_opts
        return str(names[0]) if parameter.secondary_opts else ""
    return str(getattr(value, "value", value))


def _shown(command: Any, ctx: Any) -> list[Any]:
    """The parameters that help names."""
    return [parameter for parameter in command.get_params(ctx) if not parameter.hidden]


def _panel(thing: Any) -> str:
    """The group that a command or parameter names; one of other classes names none."""
    panel = vars(thing).get("rich_help_panel")
    return panel if isinstance(panel, str) else ""


def _arguments(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.param_type_name == "argument"]


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required else f"[{name}]"


def _title(text: str) -> str:
    return typer.style(f"{text}:", bold=True)


def _write_prose(formatter: Any, prose: list[str]) -> None:
    for paragraph in prose:
        formatter.write(f"\n{textwrap.fill(paragraph, formatter.width, break_on_hyphens=False)}\n")


def _write_rows(formatter: Any, title: str, rows: list[tuple[str, str]]) -> None:
    formatter.write(f"\n{_title(title)}\n")
    width = min(max(len(name) for name, _ in rows), _NAMES) + 4
    for name, text in rows:
        lines = textwrap.wrap(text, formatter.width - width, break_on_hyphens=False, break_long_words=False) or [""]
        head = f"  {name}".ljust(width) if len(name) <= _NAMES else f"  {name}\n{' ' * width}"
        formatter.write(f"{head}{lines[0]}".rstrip() + "\n")
        formatter.write("".join(f"{' ' * width}{line}\n" for line in lines[1:]))


def _folded(example: str) -> Iterator[str]:
    """The lines of an example, continued as a shell continues them; an option stays with its value."""
    line = "  "
    for word in re.split(r" (?=-|>)", example):
        joined = f"{line} {word}" if line.strip() else f"  {word}"
        if len(joined) > 78 and line.strip():
            yield f"{line} \\"
            joined = f"      {word}"
        line = joined
    yield line
