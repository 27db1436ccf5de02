"""Lines of a user's code: from which an operation comes, or in which an error was raised."""

import re
import traceback
from pathlib import Path

import jaxtyping
import torch

# What is nobody's network: torch, what checks shapes in tests, and what we wrote around them.
_LIBRARIES, _OURS = (Path(torch.__file__).parent, Path(jaxtyping.__file__).parent), Path(__file__).resolve().parents[2]
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<number>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')


def line_of_trace(trace: str | None) -> str:
    r"""The innermost line of a user's code in the text of a stack, "" where there is none.

    Example:
        >>> line_of_trace('File "net.py", line 12, in forward\n    x = torch.sign(x)')
        'net.py:12: x = torch.sign(x)'
    """
    return _chosen([(m["file"], m["number"], m["code"]) for m in _FRAME.finditer(trace or "")])


def line_of_error(error: BaseException | None) -> str:
    """The innermost line of a user's code that an error, or what caused it, came through; "" where there is none."""
    while error is not None:
        frames = [
            (frame.filename, str(frame.lineno), frame.line or "") for frame in traceback.extract_tb(error.__traceback__)
        ]
        line = _chosen(frames, ours=False)
        if line:
            return line
        error = error.__cause__ or error.__context__
    return ""


def line_of_stack() -> str:
    """The innermost line of a user's code that is running."""
    return _chosen(_plain(traceback.extract_stack()), ours=False)


def _plain(stack: traceback.StackSummary) -> list[tuple[str, str, str]]:
    """File, number and text of each line."""
    return [(frame.filename, str(frame.lineno), frame.line or "") for frame in stack]


def _chosen(frames: list[tuple[str, str, str]], *, ours: bool = True) -> str:
    """The last frame that is a user's; where there is none, and `ours`, the last one outside torch."""
    outside = [frame for frame in frames if not _inside(frame[0], *_LIBRARIES) and not frame[0].startswith("<")]
    users = [frame for frame in outside if not _inside(frame[0], _OURS)]
    found = users or (outside if ours else [])
    if not found:
        return ""
    file, number, code = found[-1]
    return f"{_short(file)}:{number}: {code.strip()}".rstrip(": ")


def _inside(file: str, *folders: Path) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)


def _short(file: str) -> str:
    """A path relative to the working folder where it lies in there."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
