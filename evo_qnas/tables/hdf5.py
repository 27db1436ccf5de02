"""Content of tables to and from HDF5; readable with plain h5py, no pickle, layout in `results/README.md`."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.files import Seal, check_seal, write_bytes
from evo_qnas.tables.content import Content
from evo_qnas.tables.fast_hdf5 import attribute, put, put_group, put_texts
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.safe_hdf5 import SafeReader

FORMAT = "evo_qnas.tables"
# Letters of the longest message: a line or three on a terminal.
_LONGEST = 400
SCHEMA = 1
_OPTIONAL = {"combine": "sum", "details": "{}"}


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
    """Writes `content` into an open file or group."""
    root = group.id
    for name, value in (("format", FORMAT), ("schema", SCHEMA), ("created_by", "evo_qnas")):
        attribute(root, name, value)
    # A dataset, not an attribute: attributes end at 64 KiB.
    put_texts(root, "columns", list(content.columns))
    fixed = put_group(root, "fixed")
    for column in content.columns.values():
        put(fixed, column.name, np.float64(column.fixed))
    blocks = put_group(root, "blocks")
    for index, block in enumerate(content.blocks):
        _write_block(content, index, block, put_group(blocks, f"{index:03d}"))
    baselines, ties = put_group(root, "baselines"), put_group(root, "ties")
    for name, genome in content.baselines.items():
        put(baselines, name, np.array(genome, dtype=np.int64))
    for index, tie in enumerate(content.ties):
        put_texts(ties, f"{index:03d}", tie)


def _write_block(content: Content, index: int, block: Block, group: h5py.h5g.GroupID) -> None:
    attribute(group, "name", block.name)
    put_texts(group, "operator", block.operators)
    put(group, "weight_bits", np.asarray(block.weight_bits, dtype=np.int64))
    put(group, "activation_bits", np.asarray(block.activation_bits, dtype=np.int64))
    columns = put_group(group, "columns")
    for column in content.columns.values():
        data = put(columns, column.name, column.values[index])
        for name, value in (("unit", column.unit), ("direction", column.direction), ("source", column.source)):
            attribute(data, name, value)
        if column.combine != "sum":
            attribute(data, "combine", column.combine)
        if column.details:
            attribute(data, "details", json.dumps(dict(column.details), sort_keys=True))
        if column.stderr is not None:
            put(columns, f"{column.name}_stderr", column.stderr[index])


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
            raise TableError(f"{origin} has the schema {schema}, this version reads up to {SCHEMA}: update evo_qnas")
        return _read(reader, group)
    raise AssertionError("the block returns or raises")


def _read(reader: SafeReader, group: h5py.Group) -> Content:
    """The content of a group whose format is known."""
    listed = reader.group(group, "blocks")
    groups = [reader.group(listed, key) for key in reader.keys(listed)]
    blocks = tuple(_read_block(reader, group) for group in groups)
    names = reader.texts(group, "columns")
    if len(set(names)) < len(names):
        raise TableError(f"{reader.origin} names a column twice")
    parts = [reader.group(group, "columns") for group in groups]
    fixed = reader.group(group, "fixed")
    columns = {name: _read_column(reader, name, parts, reader.number(fixed, name)) for name in names}
    baselines, ties = reader.group(group, "baselines"), reader.group(group, "ties")
    try:
        return Content(
            blocks=blocks,
            columns=MappingProxyType(columns),
            baselines=MappingProxyType(
                {name: tuple(reader.integers(baselines, name).tolist()) for name in reader.keys(baselines)}
            ),
            ties=tuple(tuple(reader.texts(ties, key)) for key in reader.keys(ties)),
        )
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _read_block(reader: SafeReader, group: h5py.Group) -> Block:
    try:
        return Block(
            name=reader.text_attribute(group, "name"),
            operators=tuple(reader.texts(group, "operator")),
            weight_bits=reader.integers(group, "weight_bits"),
            activation_bits=reader.integers(group, "activation_bits"),
        )
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _read_column(reader: SafeReader, name: str, groups: list[h5py.Group], fixed: float) -> Column:
    """One column of all blocks; what it says of itself must be the same in every block."""
    stated = [_stated(reader, group, name) for group in groups]
    for index, one in enumerate(stated):
        if one != stated[0]:
            raise TableError(f"{reader.origin}: column {name!r} is {one} in block {index}, but {stated[0]} in block 0")
    unit, direction, source, combine, details = stated[0]
    errors = f"{name}_stderr"
    known = all(errors in group for group in groups)
    chosen: Direction = "maximize" if direction == "maximize" else "minimize"
    if direction != chosen:
        raise TableError(f"{reader.origin}: column {name!r} has the direction {direction!r}, not minimize or maximize")
    if combine not in ("sum", "max"):
        raise TableError(f"{reader.origin}: column {name!r} combines blocks by {combine!r}, not sum or max")
    return Column(
        name=name,
        combine=combine,
        details=_details(reader, name, details),
        values=tuple(reader.numbers(group, name) for group in groups),
        stderr=tuple(reader.numbers(group, errors) for group in groups) if known else None,
        unit=unit,
        direction=chosen,
        source=source,
        fixed=fixed,
    )


def _stated(reader: SafeReader, group: h5py.Group, name: str) -> tuple[Any, ...]:
    """Unit, direction, source, combination and details of a column in one block."""
    data = reader.dataset(group, name)
    stated = tuple(reader.text_attribute(data, key) for key in ("unit", "direction", "source"))
    return *stated, *(reader.text_attribute(data, key, default=default) for key, default in _OPTIONAL.items())


def _details(reader: SafeReader, name: str, text: str) -> Mapping[str, Any]:
    """The details of a column from their JSON text."""
    try:
        details = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{reader.origin}: the details of column {name!r} are no JSON: {error}") from error
    if not isinstance(details, dict):
        raise TableError(f"{reader.origin}: the details of column {name!r} are no JSON object")
    return MappingProxyType(details)
