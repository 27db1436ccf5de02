"""Tables to and from HDF5; readable with plain h5py, no pickle, layout in `results/README.md`."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.files import Seal, check_seal, write_bytes
from evo_qnas.tables.fast_hdf5 import attribute, put, put_group, put_texts
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.safe_hdf5 import SafeReader
from evo_qnas.tables.tables import Tables

FORMAT = "evo_qnas.tables"
_LONGEST = 400
SCHEMA = 1
_OPTIONAL = {"combine": "sum", "details": "{}"}


def save_tables(tables: Tables, path: str | Path) -> None:
    """Writes `tables` to a file of their own, sealed, in one step."""
    image = tables_image(tables)
    write_bytes(path, Seal.of(image).pack() + image)


def tables_image(tables: Tables) -> bytes:
    """An HDF5 file in memory that holds `tables` at its root."""
    core = {"driver": "core", "backing_store": False, "libver": ("v110", "v110"), "track_times": False}
    with h5py.File("tables", "w", **core) as file:
        write_tables(tables, file)
        file.flush()
        image: bytes = file.id.get_file_image()
        return image


def write_tables(tables: Tables, group: h5py.Group) -> None:
    """Writes `tables` into an open file or group."""
    root = group.id
    for name, value in (("format", FORMAT), ("schema", SCHEMA), ("created_by", "evo_qnas")):
        attribute(root, name, value)
    # A dataset, not an attribute: attributes end at 64 KiB.
    put_texts(root, "columns", list(tables.columns))
    fixed = put_group(root, "fixed")
    for column in tables.columns.values():
        put(fixed, column.name, np.float64(column.fixed))
    blocks = put_group(root, "blocks")
    for index, block in enumerate(tables.blocks):
        _write_block(tables, index, block, put_group(blocks, f"{index:03d}"))
    baselines, ties = put_group(root, "baselines"), put_group(root, "ties")
    for name, genome in tables.baselines.items():
        put(baselines, name, np.array(genome, dtype=np.int64))
    for index, tie in enumerate(tables.ties):
        put_texts(ties, f"{index:03d}", tie)


def _write_block(tables: Tables, index: int, block: Block, place: h5py.h5g.GroupID) -> None:
    attribute(place, "name", block.name)
    put_texts(place, "operator", block.operators)
    put(place, "weight_bits", np.asarray(block.weight_bits, dtype=np.int64))
    put(place, "activation_bits", np.asarray(block.activation_bits, dtype=np.int64))
    columns = put_group(place, "columns")
    for column in tables.columns.values():
        data = put(columns, column.name, column.values[index])
        for name, value in (("unit", column.unit), ("direction", column.direction), ("source", column.source)):
            attribute(data, name, value)
        if column.combine != "sum":
            attribute(data, "combine", column.combine)
        if column.details:
            attribute(data, "details", json.dumps(dict(column.details), sort_keys=True))
        if column.stderr is not None:
            put(columns, f"{column.name}_stderr", column.stderr[index])


def load_tables(path: str | Path) -> Tables:
    """Tables of a file; see `Tables.load`."""
    place = Path(path)
    if not place.is_file():
        raise TableError(f"there is no tables file {place}")
    try:
        check_seal(place)
        with h5py.File(place, "r", locking=False) as file:
            return read_tables(file, str(place))
    except TableError:
        raise
    except ValueError as error:
        raise TableError(f"{place} is a damaged tables file: {error}") from error
    except (OSError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise TableError(f"{place} is no readable HDF5 file: {text}") from error


def read_tables(group: h5py.Group, origin: str) -> Tables:
    """Tables of an open file or group; `origin` names it in messages.

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


def _checked(reader: SafeReader, group: h5py.Group, origin: str) -> Tables:
    """Tables of a group whose format is not known yet."""
    with reader.guarded():
        found = reader.text_attribute(group, "format", default="")
        if found != FORMAT:
            raise TableError(f"{origin} is no tables file: its format is {found!r}, expected {FORMAT!r}")
        schema = reader.integer_attribute(group, "schema")
        if schema > SCHEMA:
            raise TableError(f"{origin} has the schema {schema}, this version reads up to {SCHEMA}: update evo_qnas")
        return _read(reader, group)
    raise AssertionError("guarded blocks return or raise")


def _read(reader: SafeReader, group: h5py.Group) -> Tables:
    """Tables of a group whose format is known."""
    listed = reader.group(group, "blocks")
    places = [reader.group(listed, key) for key in reader.keys(listed)]
    blocks = tuple(_read_block(reader, place) for place in places)
    names = reader.texts(group, "columns")
    if len(set(names)) < len(names):
        raise TableError(f"{reader.origin} names a column twice")
    parts = [reader.group(place, "columns") for place in places]
    fixed = reader.group(group, "fixed")
    columns = {name: _read_column(reader, name, parts, reader.number(fixed, name)) for name in names}
    baselines, ties = reader.group(group, "baselines"), reader.group(group, "ties")
    try:
        return Tables(
            blocks=blocks,
            columns=MappingProxyType(columns),
            baselines=MappingProxyType(
                {name: tuple(reader.integers(baselines, name).tolist()) for name in reader.keys(baselines)}
            ),
            ties=tuple(tuple(reader.texts(ties, key)) for key in reader.keys(ties)),
        )
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _read_block(reader: SafeReader, place: h5py.Group) -> Block:
    try:
        return Block(
            name=reader.text_attribute(place, "name"),
            operators=tuple(reader.texts(place, "operator")),
            weight_bits=reader.integers(place, "weight_bits"),
            activation_bits=reader.integers(place, "activation_bits"),
        )
    except TableError as error:
        raise TableError(f"{reader.origin}: {error}") from error


def _read_column(reader: SafeReader, name: str, places: list[h5py.Group], fixed: float) -> Column:
    """One column of all blocks; what it says of itself must be the same in every block."""
    said = [_said(reader, place, name) for place in places]
    for index, one in enumerate(said):
        if one != said[0]:
            raise TableError(f"{reader.origin}: column {name!r} is {one} in block {index}, but {said[0]} in block 0")
    unit, direction, source, combine, details = said[0]
    errors = f"{name}_stderr"
    known = all(errors in place for place in places)
    chosen: Direction = "maximize" if direction == "maximize" else "minimize"
    if direction != chosen:
        raise TableError(f"{reader.origin}: column {name!r} has the direction {direction!r}, not minimize or maximize")
    if combine not in ("sum", "max"):
        raise TableError(f"{reader.origin}: column {name!r} combines blocks by {combine!r}, not sum or max")
    return Column(
        name=name,
        combine=combine,
        details=_details(reader, name, details),
        values=tuple(reader.numbers(place, name) for place in places),
        stderr=tuple(reader.numbers(place, errors) for place in places) if known else None,
        unit=unit,
        direction=chosen,
        source=source,
        fixed=fixed,
    )


def _said(reader: SafeReader, place: h5py.Group, name: str) -> tuple[Any, ...]:
    """Unit, direction, source, combination and details of a column in one block."""
    data = reader.dataset(place, name)
    said = tuple(reader.text_attribute(data, key) for key in ("unit", "direction", "source"))
    return *said, *(reader.text_attribute(data, key, default=default) for key, default in _OPTIONAL.items())


def _details(reader: SafeReader, name: str, text: str) -> Mapping[str, Any]:
    """The details of a column from their JSON text."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TableError(f"{reader.origin}: the details of column {name!r} are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise TableError(f"{reader.origin}: the details of column {name!r} are no JSON object")
    return MappingProxyType(found)
