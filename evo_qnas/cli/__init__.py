"""The command line `evo-qnas`.

One verb per file, each with a function `register(app)`; what a verb does lives in the library.
"""

import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module, metadata
from typing import Annotated, Any, NoReturn

import typer

from evo_qnas.cli.help_pages import Verbs
from evo_qnas.errors import EvoQnasError, sentence
from evo_qnas.terminal import PlainFormatter, say, say_text, sentence_of

VERBS: tuple[str, ...] = (
    "run",
    "check",
    "blocks",
    "export",
    "export_blocks",
    "search",
    "front",
    "profile",
    "compare",
    "tables",
    "report",
    "blame",
    "plot",
    "watch",
    "list",
    "schema",
)

app = typer.Typer(
    name="evo-qnas",
    cls=Verbs,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _verb in VERBS:
    import_module(f"evo_qnas.cli.{_verb}").register(app)


def _show_version(wanted: bool) -> bool:
    """The option itself; where it is given, the version is printed and the command ends."""
    if wanted:
        say(f"evo-qnas {metadata.version('evo_qnas')}")
        raise typer.Exit
    return wanted


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Pareto-optimal mixed-precision networks by multi-objective evolutionary search.

    FILE is one file, DIR the run folder of evo-qnas run. Where FILE may be DIR, it means the folder's tables or its
    archive.
    """


_stopping: set[int] = set()  # the signal that asked this process to end
# Workers that are idle or killed end in a tenth of a second; a machine out of memory may take longer.
_GRACE_SECONDS = 10
_SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP")  # the last is not there on Windows


def _stop(number: int, _frame: Any) -> None:
    """Ends by an exception, so that what is known is saved. A second Ctrl-C is from a person who wants no more of that.

    Other signals come in pairs, from closed terminals and service managers.
    """
    if _stopping:
        if number == signal.SIGINT:
            _leave()
        return
    _stopping.add(number)
    sys.unraisablehook = _ended_aside
    threading.excepthook = _quiet
    name = signal.Signals(number).name
    text = f"evo-qnas: stopped by {name}: what was finished is kept, run the same command again\n"
    # Not print: it may be at work below this very frame, and a closed terminal refuses it.
    with suppress(OSError):
        os.write(2, text.encode())
    sys.exit(128 + number)


def _ended_aside(_error: Any) -> None:
    """An error that Python cannot raise, of a finalizer: where it is the end, nothing else would end this process."""
    if isinstance(_error.exc_value, SystemExit):
        _leave()


def _quiet(_error: Any) -> None:
    """Pipes to workers break on the way out; that is no error of a command that was told to end."""


def _leave() -> NoReturn:
    """Ends now; workers end by themselves soon after."""
    os._exit(128 + min(_stopping))


def _hurry(_number: int = 0, _frame: Any = None) -> None:
    """Lets the kernel end this process where its workers do not: all is saved by now."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_GRACE_SECONDS)


def _listen(handler: Callable[[int, Any], None]) -> None:
    """Handles signals that ask to end, but those that the caller has switched off (nohup)."""
    for name in _SIGNALS:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _say(text: str) -> None:
    """One sentence on stderr."""
    say(sentence_of(f"evo-qnas: {text}"), error=True)


def _run() -> None:
    """The command and what it printed; names of files may hold bytes that are no UTF-8."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app(None if sys.argv[1:] else ["--help"], prog_name="evo-qnas")
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            # Python would try once more at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise


def main() -> None:
    """Runs the command line; an error of ours, of the disk or of a path is one sentence on stderr and exit code 2."""
    _listen(_stop)
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PlainFormatter())
    try:
        _run()
    except EvoQnasError as error:
        if {"-v", "--verbose"} & set(sys.argv[1:]):
            say_text("".join(traceback.format_exception(error)), error=True)
        _say(str(error))
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        _say(sentence(error))
        sys.exit(2)
    finally:
        _listen(_hurry)
        if _stopping:
            _hurry()
            if "evo_qnas.jobs" in sys.modules:
                import_module("evo_qnas.jobs").end_workers()
            sys.exit(128 + min(_stopping))
