"""Tables to and from HDF5; readable with plain h5py, no pickle, layout in `results/README.md`."""

from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.files import replacing
from evo_qnas.tables.parts import Block, Column, Direction
from evo_qnas.tables.tables import Tables

FORMAT = "evo_qnas.tables"
SCHEMA = 1
_TEXT = h5py.string_dtype("utf-8")


def save_tables(tables: Tables, path: str | Path) -> None:
    """Writes `tables` to a file of their own, in one step."""
    with replacing(path) as aside, h5py.File(aside, "w") as file:
        write_tables(tables, file)


def write_tables(tables: Tables, group: h5py.Group) -> None:
    """Writes `tables` into an open file or group."""
    group.attrs["format"] = FORMAT
    group.attrs["schema"] = SCHEMA
    group.attrs["created_by"] = "evo_qnas"
    group.attrs["columns"] = np.array(list(tables.columns), dtype=object).astype(_TEXT)
    fixed = group.create_group("fixed")
    for column in tables.columns.values():
        fixed.attrs[column.name] = column.fixed
    for index, block in enumerate(tables.blocks):
        place = group.create_group(f"blocks/{index:03d}")
        place.attrs["name"] = block.name
        place.create_dataset("operator", data=np.array(block.operators, dtype=object), dtype=_TEXT)
        place.create_dataset("weight_bits", data=np.asarray(block.weight_bits, dtype=np.int64))
        place.create_dataset("activation_bits", data=np.asarray(block.activation_bits, dtype=np.int64))
        columns = place.create_group("columns")
        for column in tables.columns.values():
            data = columns.create_dataset(column.name, data=column.values[index])
            data.attrs["unit"] = column.unit
            data.attrs["direction"] = column.direction
            data.attrs["source"] = column.source
            if column.stderr is not None:
                columns.create_dataset(f"{column.name}_stderr", data=column.stderr[index])
    baselines = group.create_group("baselines")
    for name, genome in tables.baselines.items():
        baselines.create_dataset(name, data=np.array(genome, dtype=np.int64))
    ties = group.create_group("ties")
    for index, tie in enumerate(tables.ties):
        ties.create_dataset(f"{index:03d}", data=np.array(tie, dtype=object), dtype=_TEXT)


def load_tables(path: str | Path) -> Tables:
    """Tables of a file; see `Tables.load`."""
    place = Path(path)
    if not place.is_file():
        raise TableError(f"there is no tables file {place}")
    try:
        file = h5py.File(place, "r")
    except OSError as error:
        raise TableError(f"{place} is no readable HDF5 file: {error}") from error
    with file:
        return read_tables(file, str(place))


def read_tables(group: h5py.Group, origin: str) -> Tables:
    """Tables of an open file or group; `origin` names it in messages."""
    found = group.attrs.get("format")
    if found != FORMAT:
        raise TableError(f"{origin} is no tables file: its format is {found!r}, expected {FORMAT!r}")
    if int(group.attrs.get("schema", 0)) > SCHEMA:
        raise TableError(
            f"{origin} has the schema {group.attrs['schema']}, this version reads up to {SCHEMA}: update evo_qnas"
        )
    try:
        names = [str(name) for name in group.attrs["columns"]]
        places = [group["blocks"][key] for key in sorted(group["blocks"])]
        return Tables(
            blocks=tuple(_read_block(place) for place in places),
            columns=MappingProxyType({name: _read_column(name, places, group) for name in names}),
            baselines=MappingProxyType(
                {str(name): tuple(int(v) for v in data[()]) for name, data in group["baselines"].items()}
            ),
            ties=tuple(tuple(text.decode("utf-8") for text in group["ties"][key][()]) for key in sorted(group["ties"])),
        )
    except (KeyError, AttributeError, TypeError, UnicodeDecodeError, OSError, RuntimeError) as error:
        raise TableError(f"{origin} is a damaged tables file: {error}") from error


def _read_block(place: h5py.Group) -> Block:
    return Block(
        name=str(place.attrs["name"]),
        operators=tuple(text.decode("utf-8") for text in place["operator"][()]),
        weight_bits=place["weight_bits"][()].astype(np.int64),
        activation_bits=place["activation_bits"][()].astype(np.int64),
    )


def _read_column(name: str, places: list[h5py.Group], group: h5py.Group) -> Column:
    datasets = [place["columns"][name] for place in places]
    first = datasets[0].attrs
    known = all(f"{name}_stderr" in place["columns"] for place in places)
    direction: Direction = "maximize" if first["direction"] == "maximize" else "minimize"
    return Column(
        name=name,
        values=tuple(data[()].astype(np.float64) for data in datasets),
        stderr=tuple(place["columns"][f"{name}_stderr"][()].astype(np.float64) for place in places) if known else None,
        unit=str(first["unit"]),
        direction=direction,
        source=str(first["source"]),
        fixed=float(group["fixed"].attrs.get(name, 0.0)),
    )
