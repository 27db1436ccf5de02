"""Digests of what an archive says, whatever its file looks like: annotations of others leave them as they are."""

import hashlib
import json
import weakref

import numpy as np

from evo_qnas.archive.evaluations import Evaluations, narrow
from evo_qnas.archive.header import Header
from evo_qnas.tables import Tables

_TABLES: dict[int, tuple["weakref.ref[Tables]", str]] = {}


def digest_of(run: str, header: Header, tables: Tables | None, evaluations: Evaluations) -> str:
    """A hex digest of the search and its evaluations, the values of its tables among them."""
    infos = [[info.name, info.unit, info.maximize] for info in header.objectives]
    limits = [[info.name, info.unit] for info in header.constraints]
    parts: list[object] = [run, header.algorithm, header.seed, header.fingerprint, list(header.blocks), infos, limits]
    parts += [dict(header.settings), dict(header.problem)]
    mark = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    mark.update(tables_digest(tables).encode())
    for part in (narrow(evaluations.genomes), *evaluations.parts[1:]):
        mark.update(np.ascontiguousarray(part).data)
    mark.update(json.dumps(sorted(evaluations.reasons.items())).encode())
    return mark.hexdigest()


def tables_digest(tables: Tables | None) -> str:
    """A hex digest of tables; made once for the tables of a search."""
    if tables is None:
        return ""
    known = _TABLES.get(id(tables))
    if known is None or known[0]() is not tables:
        mark = hashlib.sha256()
        for block in tables.blocks:
            mark.update(block.stamp)
        for column in tables.columns.values():
            mark.update(json.dumps([column.name, column.unit, column.direction, column.combine]).encode())
            mark.update(np.array([column.fixed, *np.concatenate(column.values)]).tobytes())
        mark.update(json.dumps([sorted(tables.baselines.items()), tables.ties]).encode())
        known = weakref.ref(tables), mark.hexdigest()
        _TABLES.clear()
        _TABLES[id(tables)] = known
    return known[1]
