"""Content of tables to and from HDF5; readable with plain h5py, no pickle, layout in `results/README.md`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import TableError
from evo_qnas.files import Seal, check_seal, write_bytes
from evo_qnas.tables.content import Content
from evo_qnas.tables.fast_hdf5 import attribute, put, put_texts
from evo_qnas.tables.parts import Block, Column
from evo_qnas.tables.safe_hdf5 import SafeReader

FORMAT = "evo_qnas.tables"
# Letters of the longest message: a line or three on a terminal.
_LONGEST = 400
SCHEMA = 2
_ANEW = "make the tables anew, or export them as CSV with the version that wrote them"
# What a column says of itself in words.
_STATED = ("name", "unit", "direction", "source", "combine")


def save_content(content: Content, path: str | Path) -> None:
    """Writes `content` to a file of their own, sealed, in one step."""
    image = content_image(content)
    write_bytes(path, Seal.of(image).pack() + image)


def content_image(content: Content) -> bytes:
    """An HDF5 file in memory that holds `content` at its root."""
    core = {"driver": "core", "backing_store": False, "libver": ("v110", "v110"), "track_times": False}
    with h5py.File("tables", "w", **core) as file:
        write_content(content, file)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def write_content(content: Content, group: h5py.Group) -> None:
    """Writes `content` into an open file or group: few arrays over all choices, as each HDF5 object costs its time."""
    root = group.id
    for name, value in (("format", FORMAT), ("schema", SCHEMA), ("created_by", "evo_qnas")):
        attribute(root, name, value)
    operators = [operator for block in content.blocks for operator in block.operators]
    codes = {name: code for code, name in enumerate(dict.fromkeys(operators))}
    put_texts(root, "block", content.names)
    put(root, "choices", content.choices)
    put_texts(root, "operator_name", list(codes))
    put(root, "operator", np.fromiter(map(codes.__getitem__, operators), dtype=np.int64, count=len(operators)))
    for name in ("weight_bits", "activation_bits"):
        put(root, name, np.concatenate([getattr(block, name) for block in content.blocks]).astype(np.int64))
    columns = list(content.columns.values())
    put_texts(root, "column", [_stated(column) for column in columns])
    put(root, "fixed", np.array([column.fixed for column in columns], dtype=np.float64))
    put(root, "values", _matrix([column.values for column in columns], len(operators)))
    put(root, "stderr", _matrix([column.stderr for column in columns if column.stderr is not None], len(operators)))
    put_texts(root, "baseline_name", list(content.baselines))
    genomes = np.array(list(content.baselines.values()), dtype=np.int64)
    put(root, "baseline", genomes.reshape(-1, len(content.blocks)))
    put_texts(root, "tie", [json.dumps(list(tie)) for tie in content.ties])


def _stated(column: Column) -> str:
    """What a column says of itself, JSON."""
    stated = {name: getattr(column, name) for name in _STATED}
    return json.dumps({**stated, "details": dict(column.details), "stderr": column.stderr is not None}, sort_keys=True)


def _matrix(columns: Sequence[Sequence[Float[np.ndarray, " _"]]], choices: int) -> Float[np.ndarray, "columns all"]:
    """One row per column, its blocks one after another."""
    return np.array([np.concatenate(values) for values in columns], dtype=np.float64).reshape(-1, choices)


def load_content(path: str | Path) -> Content:
    """The content of a file; see `Tables.load`."""
    file_path = Path(path)
    if not file_path.is_file():
        raise TableError(f"there is no tables file {file_path}")
    try:
        check_seal(file_path)
        with h5py.File(file_path, "r", locking=False) as file:
            return read_content(file, str(file_path))
    except TableError:
        raise
    except ValueError as error:
        raise TableError(f"{file_path} is a damaged tables file: {error}") from error
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise TableError(f"{file_path} is no readable HDF5 file: {text}") from error


def read_content(group: h5py.Group, origin: str) -> Content:
    """The content of an open file or group; `origin` names it in messages.

    Made for files of strangers: only plain datasets of numbers and text inside this file are read, their declared sizes
    are held against the file's before memory is taken, and whatever breaks a rule is one sentence.

    Raises:
        TableError: the file is of another kind, of a newer schema, or damaged.
    """
    reader = SafeReader(origin=origin, what="tables", error=TableError, file=group.file)
    try:
        return _checked(reader, group, origin)
    except TableError as error:
        # A damaged file may hold thousands of letters where a unit should be: no sentence repeats them all.
        if len(str(error)) <= _LONGEST:
            raise
        raise TableError(f"{str(error)[:_LONGEST]}...") from error


def _checked(reader: SafeReader, group: h5py.Group, origin: str) -> Content:
    """The content of a group whose format is not known yet."""
    with reader.damage():
        kind = reader.text_attribute(group, "format", default="")
        if kind != FORMAT:
            raise TableError(f"{origin} is no tables file: its format is {kind!r}, expected {FORMAT!r}")
        schema = reader.integer_attribute(group, "schema")
        if schema > SCHEMA:
            raise TableError(f"{origin} has the schema {schema}, this version reads {SCHEMA}: update evo_qnas")
        if schema < SCHEMA:
            raise TableError(f"{origin} has the schema {schema} of an earlier version, this one has {SCHEMA}: {_ANEW}")
        return _read(reader, group)
    raise AssertionError("the block returns or raises")


def _read(reader: SafeReader, group: h5py.Group) -> Content:
    """The content of a group whose format is known."""
    blocks, starts = _blocks(reader, group)
    names, genomes = reader.texts(group, "baseline_name"), reader.integers(group, "baseline", ndim=2)
    if len(genomes) != len(names):
        raise reader.fail(f"it has {len(genomes)} baselines and {len(names)} names of them")
    try:
        return Content(
            blocks=blocks,
            columns=MappingProxyType({column.name: column for column in _columns(reader, group, starts)}),
            baselines=MappingProxyType({name: tuple(row) for name, row in zip(names, genomes.tolist(), strict=True)}),
            ties=tuple(tuple(map(str, _json(reader, text, list, "a tie"))) for text in reader.texts(group, "tie")),
        )
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _blocks(reader: SafeReader, group: h5py.Group) -> tuple[tuple[Block, ...], Int[np.ndarray, " inner"]]:
    """The blocks, and where each but the first begins among all choices."""
    names, choices = reader.texts(group, "block"), reader.integers(group, "choices")
    operators, codes = reader.texts(group, "operator_name"), reader.integers(group, "operator")
    bits = [reader.integers(group, name) for name in ("weight_bits", "activation_bits")]
    if len(names) != len(choices) or (choices < 0).any():
        raise reader.fail(f"it has {len(names)} blocks and the numbers of choices {choices[:10].tolist()}")
    if any(len(part) != choices.sum() for part in (codes, *bits)):
        raise reader.fail(f"its operators and bits are not one per choice of every block ({choices.sum()} in all)")
    if len(codes) and not 0 <= codes.min() <= codes.max() < len(operators):
        raise reader.fail("a choice has an operator that operator_name does not have")
    starts = np.cumsum(choices)[:-1]
    parts = zip(names, *(np.split(part, starts) for part in (codes, *bits)), strict=True)
    try:
        return tuple(
            Block(
                name=name,
                operators=tuple(operators[code] for code in chosen.tolist()),
                weight_bits=weight,
                activation_bits=activation,
            )
            for name, chosen, weight, activation in parts
        ), starts
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _columns(reader: SafeReader, group: h5py.Group, starts: Int[np.ndarray, " inner"]) -> Iterator[Column]:
    """The columns, each checked."""
    stated = [_json(reader, text, dict, "a column") for text in reader.texts(group, "column")]
    fixed, values = reader.numbers(group, "fixed"), reader.numbers(group, "values", ndim=2)
    errors = reader.numbers(group, "stderr", ndim=2)
    known = [column.get("stderr") is True for column in stated]
    if (len(fixed), len(values), len(errors)) != (len(stated), len(stated), sum(known)):
        raise reader.fail("its columns, their values, errors and fixed parts are not equally many")
    words = [_words(reader, column) for column in stated]
    if len({said["name"] for said in words}) < len(words):
        raise TableError(f"{reader.origin} names a column twice")
    rows = iter(errors)
    for said, row, part, with_errors in zip(words, values, fixed.tolist(), known, strict=True):
        yield Column(
            **said,
            values=tuple(np.split(row, starts)),
            stderr=tuple(np.split(next(rows), starts)) if with_errors else None,
            fixed=part,
        )


def _words(reader: SafeReader, column: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a column that are no numbers.

    Raises:
        TableError: one is missing, of another kind, or says what no column can.
    """
    for name in _STATED:
        if not isinstance(column.get(name), str):
            raise reader.fail(f"the {name} of column {str(column.get('name'))[:60]!r} must be text")
    details, name = column.get("details", {}), column["name"][:60]
    if not isinstance(details, dict):
        raise reader.fail(f"the details of column {name!r} are no JSON object")
    if column["direction"] not in ("minimize", "maximize"):
        raise TableError(f"column {name!r} has the direction {column['direction']!r}, not minimize or maximize")
    if column["combine"] not in ("sum", "max"):
        raise TableError(f"column {name!r} combines blocks by {column['combine']!r}, not sum or max")
    return {**{name: column[name] for name in _STATED}, "details": MappingProxyType(details)}


def _json(reader: SafeReader, text: str, kind: type[Any], what: str) -> Any:
    """What a JSON text says, of the kind that it should be."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise reader.fail(f"{what} is no JSON: {error}") from error
    if not isinstance(said, kind):
        raise reader.fail(f"{what} is no JSON {'object' if kind is dict else 'list'}")
    return said
