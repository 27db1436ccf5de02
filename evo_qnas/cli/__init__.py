"""The command line `evo-qnas`.

One verb per file, each with a function `register(app)`; what a verb does lives in the library.
"""

import os
import signal
import sys
from importlib import import_module
from typing import Any, NoReturn

import typer
from rich.console import Console

from evo_qnas.errors import EvoQnasError

VERBS: tuple[str, ...] = (
    "run",
    "tables",
    "profile",
    "search",
    "front",
    "plot",
    "list",
    "export",
    "export_blocks",
    "report",
    "compare",
)

app = typer.Typer(
    name="evo-qnas",
    help="Pareto-optimal mixed-precision networks by multi-objective evolutionary search.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in VERBS:
    import_module(f"evo_qnas.cli.{_verb}").register(app)


@app.callback()
def _root() -> None:
    """Pareto-optimal mixed-precision networks by multi-objective evolutionary search."""


_stopping: set[int] = set()  # signals that asked this process to end


def _stop(number: int, _frame: Any) -> NoReturn:
    """Ends by an exception, so that worker processes end with this one instead of working on for minutes."""
    _stopping.add(number)
    name = signal.Signals(number).name
    print(f"evo-qnas: stopped by {name}: what was finished is kept, run the same command again", file=sys.stderr)
    sys.exit(128 + number)


def main() -> None:
    """Runs the command line; an error of ours is one sentence on stderr and exit code 2."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except EvoQnasError as error:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"evo-qnas: {error}")
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    finally:
        # Pipes to workers may break on the way out; that is no error of a command that was told to end.
        if _stopping:
            sys.exit(128 + min(_stopping))
