"""JSON and arrays of strangers: bounded memory, plain numbers, and one sentence where a file is damaged."""

import json
import lzma
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from evo_qnas.errors import EvoQnasError

# Bytes of a JSON file beyond which it is none of ours. Chosen, not measured.
LARGEST_JSON = 64 << 20
_LONGEST_TEXT = 60
# Whole numbers fit 64 bits, as everywhere else.
_WHOLE = 2**63
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

# Memory that arrays may take: whatever the file, or so many times its size. Images pack about ten to one.
_MOST_BYTES, _MOST_PACKED = 64 << 20, 100
# What numpy and zipfile raise on damaged files.
_DAMAGE = (
    *(OSError, ValueError, KeyError, EOFError, RuntimeError, TypeError, OverflowError, MemoryError, SyntaxError),
    *(zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, zipfile.BadZipFile, NotImplementedError),
)


def parse_json(text: str, origin: object, error: type[EvoQnasError]) -> Any:
    """The value of a JSON text whose numbers are finite and fit 64 bits, and whose texts can be written as UTF-8.

    Args:
        text: the JSON.
        origin: where it is from, for the error.
        error: what is raised.

    Example:
        >>> from evo_qnas.errors import TableError
        >>> parse_json('{"a": 1}', "line 3", TableError)
        {'a': 1}
        >>> parse_json("[NaN]", "line 3", TableError)
        Traceback (most recent call last):
            ...
        evo_qnas.errors.TableError: line 3 is no JSON that can be used: NaN is no number
    """
    try:
        value = json.loads(text, parse_constant=_constant, parse_int=_whole, parse_float=_float)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as cause:
        raise error(f"{origin} is no JSON that can be used: it is nested too deep") from cause
    except UnicodeEncodeError as cause:
        raise error(f"{origin} is no JSON that can be used: half a character stands alone in a text") from cause
    except ValueError as cause:
        raise error(f"{origin} is no JSON that can be used: {cause}") from cause
    return value


def read_json(path: Path, error: type[EvoQnasError]) -> Any:
    """The value in a JSON file, see `parse_json`; a file of more than 64 MiB is refused."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise error(f"{path} has more than {LARGEST_JSON >> 20} MiB: this is no file of a run")
        text = path.read_text(encoding="utf-8")
    except OSError as cause:
        raise error(f"{path} cannot be read: {cause.strerror or cause}") from cause
    except UnicodeDecodeError as cause:
        raise error(f"{path} cannot be read as JSON: it is no UTF-8 text ({cause.reason})") from cause
    return parse_json(text, path, error)


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -_WHOLE <= int(digits) < _WHOLE:
        raise ValueError(f"{digits[:20]}{'..' if len(digits) > 20 else ''} is beyond whole numbers of 64 bits")
    return int(digits)


def _float(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text[:40]} is beyond all numbers")
    return value


def array_names(path: Path, error: type[EvoQnasError]) -> list[str]:
    """Names of the arrays in an `.npz` file."""
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except _DAMAGE as cause:
        raise error(f"{path} cannot be read: {_text(cause)}") from cause


def read_arrays(path: Path, names: Sequence[str], error: type[EvoQnasError]) -> dict[str, np.ndarray]:
    """The named arrays of an `.npz` file; together they may take 64 MiB, or a hundred times the size of the file.

    Args:
        path: the file.
        names: of the arrays.
        error: what is raised where the file cannot be read, lacks an array, holds objects or would take more memory.
    """
    try:
        budget = max(_MOST_BYTES, _MOST_PACKED * path.stat().st_size)
        arrays = {}
        with zipfile.ZipFile(path) as file:
            members = set(file.namelist())
            for name in names:
                if f"{name}.npy" not in members:
                    there = ", ".join(sorted(member.removesuffix(".npy") for member in members)[:20]) or "none"
                    raise error(f"{path} has no array {name!r}; there are: {there}")
                budget -= _declared(path, file, f"{name}.npy", budget, error)
                with file.open(f"{name}.npy") as handle:
                    arrays[name] = np.lib.format.read_array(handle, allow_pickle=False)
        return arrays
    except _DAMAGE as cause:
        if isinstance(cause, error):
            raise
        raise error(f"{path} cannot be read: {_text(cause)}") from cause


def _declared(path: Path, file: zipfile.ZipFile, member: str, budget: int, error: type[EvoQnasError]) -> int:
    """Bytes that an array declares, held against those that are there and those that it may take."""
    with file.open(member) as handle:
        major, _ = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(handle)
    if dtype.hasobject or any(length < 0 for length in shape):
        raise error(f"{path}: the array {member} holds objects, which would run code")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size > file.getinfo(member).file_size or size > budget:
        raise error(f"{path}: the array {member} declares {size / 1e9:.3g} GB, more than the file can have")
    return size


def shown(text: str) -> str:
    """A text in quotes as a sentence can hold it: at most 60 characters.

    Example:
        >>> shown("1" * 400)
        "'111111111111111111111111111111111111111111111111111111111111..'"
    """
    return repr(text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}..")


def _text(error: BaseException) -> str:
    """The first line of an error, not endless."""
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:300]
