"""What a reader is to the fuzzer, and the verdict on one damaged case."""

import contextlib
import io
import resource
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import final

import numpy as np

from evo_qnas.errors import EvoQnasError

LIMIT_SECONDS, LIMIT_MEGABYTES = 5.0, 1000
# Of the command line; errors of the library repeat what they are handed.
_LONGEST_SENTENCE = 2100


class Reader(ABC):
    """One kind of input.

    Attributes:
        name: for `--reader`.
        every: every so many cases go through the command line, where there is a verb for them; 0 for none.
    """

    name: str
    every: int = 4

    @abstractmethod
    def make_good(self, folder: Path) -> None:
        """Writes good files into a folder that is empty."""

    @abstractmethod
    def damage(self, good: Path, case: Path, rng: np.random.Generator) -> str:
        """Writes one damaged case into an empty folder; gives a word for what was done."""

    @abstractmethod
    def read(self, case: Path) -> None:
        """Reads all that a user could read."""

    def command(self, case: Path) -> list[str] | None:
        """Arguments of `evo-qnas` that read the case, None where no verb does in short time."""
        return None


@final
class Verdict:
    """How a case ended; texts that begin with BAD are failures."""

    @staticmethod
    def of_library(reader: Reader, case: Path) -> str:
        """The ending of a call of the library."""
        try:
            reader.read(case)
        except EvoQnasError as error:
            text = str(error)
            if _short_of_memory(error):
                return f"BAD memory: {text[:200]!r}"
            return "refused" if len(text) > 5 else f"BAD text {text!r}"
        except MemoryError as error:
            return f"BAD memory {_where(error)}"
        except Exception as error:
            return f"BAD {type(error).__name__}: {str(error)[:150]!r} {_where(error)}"
        return "read"

    @staticmethod
    def of_command(arguments: list[str]) -> str:
        """The ending of a call of the command line."""
        from evo_qnas.cli import main

        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["evo-qnas", *arguments]
        code: object = 0
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main()
        except SystemExit as end:
            code = end.code
        except BaseException as error:
            return f"BAD {type(error).__name__} of the command: {str(error)[:150]!r} {_where(error)}"
        said, sentence = out.getvalue(), err.getvalue()
        odd = {letter for letter in said + sentence if not letter.isprintable() and letter != "\n"}
        if odd:
            return f"BAD control characters {sorted(odd)!r} in {(said + sentence)[:200]!r}"
        if code in (0, None, 1):
            return "read" if "Traceback" not in sentence else f"BAD traceback: {sentence[-200:]!r}"
        lines = sentence.splitlines()
        good = code == 2 and len(lines) == 1 and lines[0].startswith("evo-qnas: ") and len(sentence) < _LONGEST_SENTENCE
        return "refused" if good else f"BAD exit code {code}: {sentence[-300:]!r}"


def _short_of_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _where(error: BaseException) -> str:
    """The last line of ours in a traceback."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "evo_qnas" in file and "benchmarks" not in file:
            found = f"({Path(file).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return found


def peak_megabytes() -> float:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def try_case(reader: Reader, good: Path, case: Path, seed: int, index: int) -> tuple[str, str, float]:
    """Makes and reads case `index` in this process: what was done, how it ended, seconds of the processor."""
    rng = np.random.default_rng([seed, *reader.name.encode(), index])
    what = reader.damage(good, case, rng)
    arguments = reader.command(case) if reader.every and index % reader.every == 0 else None
    start = time.process_time()
    ending = Verdict.of_library(reader, case) if arguments is None else Verdict.of_command(arguments)
    seconds = time.process_time() - start
    if seconds > LIMIT_SECONDS and not ending.startswith("BAD"):
        ending = f"BAD took {seconds:.1f} s, {ending}"
    return what if arguments is None else f"{what}, command", ending, seconds
