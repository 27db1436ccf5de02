"""Archives that other programs write with plain HDF5: the least that a file must have (`results/README.md`)."""

import json
import uuid
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.front import signs
from evo_qnas.archive.header import ELSEWHERE, Header
from evo_qnas.archive.layout import Contents
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo
from evo_qnas.tables import Tables
from evo_qnas.tables.hdf5 import read_content

# Numbers of a file that is read whole: 2 GB of float64.
_MOST = 1 << 28


def read_plain(path: Path) -> Contents:
    """The contents of an archive without a seal; what it does not say is taken as nothing.

    Raises:
        ValueError: something that is needed is missing or does not fit; the text says what.
    """
    with h5py.File(path, "r", locking=False) as file:
        objectives = _numbers(file, "evaluations/objectives", 2)
        infos = _objectives(file["evaluations/objectives"], objectives.shape[1])
        genomes = _numbers(file, "evaluations/genome", 2)
        n = len(genomes)
        constraints = _numbers(file, "evaluations/constraints", 2) if _has(file, "constraints") else np.empty((n, 0))
        limits = _limits(file["evaluations/constraints"]) if _has(file, "constraints") else ()
        generation = _numbers(file, "evaluations/generation", 1) if _has(file, "generation") else np.zeros(n)
        seconds = _numbers(file, "evaluations/seconds", 1) if _has(file, "seconds") else np.zeros(n)
        failed = ~np.isfinite(objectives).all(axis=1)
        state = _numbers(file, "evaluations/state", 1) if _has(file, "state") else failed
        if len({n, *(len(part) for part in (objectives, constraints, generation, seconds, state))}) > 1:
            raise ValueError("the parts of its evaluations have different lengths")
        if (genomes < 0).any() or (genomes != np.rint(genomes)).any() or len(limits) != constraints.shape[1]:
            raise ValueError("its genomes are no whole numbers from 0, or its limits have no names")
        blocks = (
            _texts(file["block_names"]) if "block_names" in file else [f"block{i}" for i in range(genomes.shape[1])]
        )
        if len(blocks) != genomes.shape[1]:
            raise ValueError(f"it has {len(blocks)} block_names and genomes of {genomes.shape[1]}")
        tables = Tables(read_content(file["tables"], f"{path}:/tables")) if "tables" in file else None
        header = Header(
            tables=tables,
            blocks=tuple(blocks),
            objectives=infos,
            constraints=limits,
            algorithm=str(file.attrs.get("algorithm", ELSEWHERE)),
            settings=MappingProxyType(json.loads(file.attrs.get("settings", "{}"))),
            problem=MappingProxyType(_problem(file)),
            seed=_seed(file),
            fingerprint=str(file.attrs.get("fingerprint", "")),
        )
    return Contents(
        run=uuid.uuid4().hex,
        header=header,
        evaluations=Evaluations(
            genomes=genomes.astype(np.int64),
            objectives=objectives * signs([info.maximize for info in infos]),
            constraints=constraints,
            generation=generation.astype(np.int32),
            seconds=seconds.astype(np.float64),
            state=np.where(failed & (state == 0), 1, state).astype(np.uint8),
        ),
        finished=True,
    )


def _problem(file: h5py.File) -> dict[str, Any]:
    """The description of the problem, empty where the file has none."""
    data = file.get("problem", getlink=False)
    if data is None:
        return {}
    if not isinstance(data, h5py.Dataset) or data.ndim:
        raise ValueError("/problem needs one text")
    known = json.loads(_texts([data[()]])[0])
    if not isinstance(known, dict):
        raise ValueError("/problem needs a JSON object")
    return known


def _seed(file: h5py.File) -> int | None:
    seed = json.loads(str(file.attrs.get("seed", "null")))
    return None if seed is None else int(seed)


def _has(file: h5py.File, name: str) -> bool:
    return name in file["evaluations"]


def _numbers(file: h5py.File, name: str, ndim: int) -> np.ndarray:
    """The numbers of a dataset, any type of integer or float."""
    if name not in file or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"/{name} is missing")
    data = file[name]
    if data.ndim != ndim or data.dtype.kind not in "iufb" or data.size > _MOST:
        raise ValueError(f"/{name} needs {ndim} dimensions of numbers, got {data.dtype} {data.shape}")
    values: np.ndarray = np.asarray(data[()])
    return values.astype(np.float64) if data.dtype.kind == "f" else values


def _texts(values: Any) -> list[str]:
    return [text.decode() if isinstance(text, bytes) else str(text) for text in np.asarray(values).tolist()]


def _objectives(data: Any, m: int) -> tuple[ObjectiveInfo, ...]:
    names = _texts(data.attrs.get("name", [f"f{i + 1}" for i in range(m)]))
    units = _texts(data.attrs.get("unit", ["1"] * m))
    maximize = np.asarray(data.attrs.get("maximize", [False] * m)).astype(bool).tolist()
    if {len(names), len(units), len(maximize)} != {m}:
        raise ValueError(f"/evaluations/objectives needs {m} names, units and directions")
    return tuple(ObjectiveInfo(name=n, unit=u, maximize=x) for n, u, x in zip(names, units, maximize, strict=True))


def _limits(data: Any) -> tuple[ConstraintInfo, ...]:
    names = _texts(data.attrs.get("name", []))
    units = _texts(data.attrs.get("unit", ["1"] * len(names)))
    return tuple(ConstraintInfo(name=name, unit=unit) for name, unit in zip(names, units, strict=True))
