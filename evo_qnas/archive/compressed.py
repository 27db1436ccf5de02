"""Large archives for other people and programs: chunked and compressed, without a seal."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from evo_qnas.archive.evaluations import narrow
from evo_qnas.archive.front import signs
from evo_qnas.archive.journal import cannot_write
from evo_qnas.archive.layout import FORMAT, RAW, Contents
from evo_qnas.files import replacing
from evo_qnas.tables.hdf5 import write_content

# Bytes of a chunk: within HDF5's chunk cache of 1 MiB, so that a reader of some rows unpacks each chunk once.
_CHUNK_BYTES = 1 << 19
# gzip's middle: 39 % of the plain file's bytes for a million evaluations (`benchmarks/large_archive.py`).
_LEVEL = 4


def write_compressed(contents: Contents, path: Path) -> None:
    """Writes evaluations, tables and problem as `results/README.md` has it for archives of other programs.

    Raises:
        ArchiveError: the file cannot be written; the text says why and what to do.
    """
    try:
        with replacing(path) as aside, h5py.File(aside, "w", libver=("v110", "v110")) as file:
            _write(contents, file)
    except OSError as error:
        raise cannot_write(path, error) from error


def _write(contents: Contents, file: h5py.File) -> None:
    header, rows = contents.header, contents.evaluations
    file.attrs["format"] = FORMAT
    file.attrs["algorithm"] = header.algorithm
    file.attrs["settings"] = json.dumps(dict(header.settings))
    file.attrs["seed"] = json.dumps(header.seed)
    file.attrs["fingerprint"] = header.fingerprint
    file.create_dataset("problem", data=json.dumps(dict(header.problem)), dtype=h5py.string_dtype("utf-8"))
    file.create_dataset("block_names", data=list(header.blocks), dtype=h5py.string_dtype("utf-8"))
    maximize = [info.maximize for info in header.objectives]
    parts = (narrow(rows.genomes), rows.objectives * signs(maximize), *rows.parts[2:])
    made = {name: _put(file, f"evaluations/{name}", part) for name, part in zip(RAW, parts, strict=True)}
    for name, infos in (("objectives", header.objectives), ("constraints", header.constraints)):
        for key in ("name", "unit") if infos else ():
            made[name].attrs[key] = [getattr(info, key) for info in infos]
    made["objectives"].attrs["maximize"] = maximize
    if header.tables is not None:
        write_content(header.tables.content, file.create_group("tables"))


def _put(file: h5py.File, name: str, values: np.ndarray) -> Any:
    """A dataset in chunks of whole rows; what is empty has none."""
    if not values.size:
        return file.create_dataset(name, data=values, track_times=False)
    row = max(values[:1].nbytes, 1)
    chunks = (min(len(values), max(1, _CHUNK_BYTES // row)), *values.shape[1:])
    return file.create_dataset(
        name, data=values, chunks=chunks, compression="gzip", compression_opts=_LEVEL, shuffle=True, track_times=False
    )
