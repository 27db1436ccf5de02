"""`evo-qnas list`: what there is."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import typer

from evo_qnas.cli import completion
from evo_qnas.cli.extras import needs_extra
from evo_qnas.cli.groups import LOOKING
from evo_qnas.cli.help_pages import Verb
from evo_qnas.cli.options import AsJson, Changes
from evo_qnas.errors import CardError
from evo_qnas.terminal import hand_on, say

Rows = Mapping[str, str]

_OBJECTIVES: Rows = {
    "COLUMN": "a column of the tables, summed over blocks and fixed part (peak memory: the largest), in its direction",
    "mean:COLUMN": "that sum, divided by the number of blocks",
    "max:COLUMN": "the largest value of a block",
    "worst:COLUMN": "the largest of that sum over several devices, columns COLUMN@device",
    "distinct(LABEL)": "number of different operator, weight_bits or activation_bits",
    "module:function": "a function of evo_qnas.Networks, see evo_qnas.objective",
}


def _problems() -> Rows:
    return _cards("problems")


def _operators() -> Rows:
    variation = _cards("operators/variation")
    return {**_cards("operators/blocks"), **{f"variation/{name}": text for name, text in variation.items()}}


def _algorithms() -> Rows:
    from evo_qnas.search import ALGORITHMS

    return ALGORITHMS


def _datasets() -> Rows:
    from evo_qnas.data import DATASETS

    return DATASETS


def _devices() -> Rows:
    return _cards("devices")


def _runtimes() -> Rows:
    from evo_qnas.networks.export import RUNTIMES

    return {name: runtime.about for name, runtime in RUNTIMES.items()}


def _tasks() -> Rows:
    from evo_qnas.networks.tasks.base import TASKS

    return {name: task.about for name, task in TASKS.items()}


def _schemes() -> Rows:
    from evo_qnas.networks.quantization.scheme import SCHEMES

    return {name: scheme.about for name, scheme in SCHEMES.items()}


def _roundings() -> Rows:
    from evo_qnas.networks.quantization.recipe import ROUNDINGS

    return {name: rounding.about for name, rounding in ROUNDINGS.items()}


def _operations() -> Rows:
    """Role of each operation, and the runtimes that translate it."""
    from evo_qnas.networks.capture.operations.registry import OPERATIONS
    from evo_qnas.networks.export import RUNTIMES

    runtimes = {name: runtime for name, runtime in RUNTIMES.items() if not runtime.made_from}
    rows = {}
    for name, operation in OPERATIONS.items():
        translating = [key for key, runtime in runtimes.items() if runtime.translates(operation)]
        rows[name] = f"{operation.role.value}; runtimes: {', '.join(translating) or 'none'}"
    return rows


def _stages() -> Rows:
    from evo_qnas.pipeline.stages import ordered_stages

    return {stage.name: stage.about for stage in ordered_stages()}


def _checks() -> Rows:
    from evo_qnas.summary.health import HEALTH_CHECKS

    return {name: check.about for name, check in HEALTH_CHECKS.items()}


# Kinds by name. Each imports what it lists when it is asked for, so that kinds without torch need no extra.
KINDS: Mapping[str, Callable[[], Rows]] = MappingProxyType(
    {
        "problems": _problems,
        "operators": _operators,
        "algorithms": _algorithms,
        "objectives": lambda: _OBJECTIVES,
        "datasets": _datasets,
        "devices": _devices,
        "runtimes": _runtimes,
        "tasks": _tasks,
        "schemes": _schemes,
        "roundings": _roundings,
        "operations": _operations,
        "stages": _stages,
        "checks": _checks,
    }
)


_HELP = """Lists what there is of a kind: cards, algorithms, runtimes and more.

Those of other packages are in the list too, with one line each.

Examples:

  evo-qnas list algorithms

  evo-qnas list stages --json
"""


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command("list", help=_HELP, cls=Verb, rich_help_panel=LOOKING)(run)


def run(
    kind: Annotated[
        str,
        typer.Argument(help=f"one of {', '.join(KINDS)}", metavar="KIND", autocompletion=completion.of(KINDS)),
    ],
    card: Annotated[
        str | None,
        typer.Option(
            "--for",
            metavar="CARD",
            help="operators: which fit which block of this card's teacher, or why not",
            autocompletion=completion.problem_cards,
        ),
    ] = None,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Lists a kind."""
    from evo_qnas.cards import nearest

    if kind not in KINDS:
        raise CardError(f"there is no kind {kind!r} to list; {nearest(kind, list(KINDS))}")
    if card is None and changes:
        raise CardError("--set changes the card of --for, which is missing")
    if card is not None and kind != "operators":
        raise CardError(f"--for asks which operators fit a card, and {kind} are listed: evo-qnas list operators --for")
    if card is not None:
        _say_fitting(card, changes, as_json=as_json)
        return
    with needs_extra(f"evo-qnas list {kind}", "train"):
        rows = dict(KINDS[kind]())
    if as_json:
        hand_on(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return
    width = max((len(name) for name in rows), default=0)
    for name, text in rows.items():
        say(f"{name.ljust(width)}  {text}".rstrip())


def _say_fitting(card: str, changes: list[str] | None, *, as_json: bool) -> None:
    """Says of each operator card the blocks that it fits, and under it why it does not fit others."""
    with needs_extra("evo-qnas list operators --for", "train"):
        from evo_qnas.pipeline import load_card
        from evo_qnas.pipeline.context import RunContext
        from evo_qnas.pipeline.found_blocks import fitting_operators

    name, content = load_card(card, changes=changes)
    with tempfile.TemporaryDirectory() as folder:
        found = fitting_operators(RunContext(name=name, card=content, folder=Path(folder).resolve()))
    if as_json:
        hand_on(json.dumps(found.operators, indent=1, ensure_ascii=False, default=dict) + "\n")
        return
    width = max(map(len, found.operators), default=0)
    for operator, reasons in found.operators.items():
        fitting = [block for block, reason in reasons.items() if not reason]
        say(f"{operator.ljust(width)}  {', '.join(fitting) or 'fits no block'}")
        others: dict[str, list[str]] = {}
        for block, reason in reasons.items():
            if reason:
                others.setdefault(reason, []).append(block)
        for reason, blocks in others.items():
            say(f"{' ' * width}  not {', '.join(blocks)}: {reason}")


def _cards(kind: Literal["problems", "operators/blocks", "operators/variation", "devices"]) -> Rows:
    from evo_qnas.cards import list_cards

    return {name: _description(path) for name, path in list_cards(kind).items()}


def _description(path: Path) -> str:
    """One line about a card: its description, else its first comment or docstring line."""
    from evo_qnas.cards import read_toml

    if path.suffix == ".toml":
        content = read_toml(path)
        description = content.get("description") or content.get("title")
        if isinstance(description, str):
            return description.strip().splitlines()[0]
    lines = [line.strip(' #"\n') for line in path.read_text(encoding="utf-8").splitlines()]
    return next((line for line in lines if line), "")
