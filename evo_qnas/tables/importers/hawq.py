"""HAWQ-style sensitivities: a Hessian trace and a squared weight error per layer and bit-width."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.errors import TableError
from evo_qnas.reading import read_json
from evo_qnas.tables.parts import Block
from evo_qnas.tables.tables import Tables

_ERROR = re.compile(r"delta_weights_(\d{1,2})bit_square")


def import_hawq(path: str | Path) -> Tables:
    """Tables of a HAWQ-style JSON file; weights and activations of a layer share one bit-width.

    Columns: `score` = trace x squared weight error, `size_mb` (of 1024^2 bytes, as HAWQ counts), `bops` (10^9 bit
    operations of multiply-accumulates in units of 64, as HAWQ counts), `latency_ms`; each where the file has its data.
    Published solutions with a bit-width for each layer become baselines, `ties` of the file become ties.

    Args:
        path: JSON with `table` (`Hutchinson_trace`, `delta_weights_4bit_square`, ..., and where known `parameters`,
            `bops` (multiply-accumulates), `latency_int4`, ...), and where known `layer_names`, `ties`, `published`.

    Raises:
        TableError: the file cannot be read, or an entry is missing or no row of numbers.

    Source:
        Yao et al. 2021, HAWQ-V3, equations of the integer linear program in its notebook.
    """
    file = Path(path)
    content = _load(file)
    table = content["table"]
    trace = _numbers(file, table, "Hutchinson_trace", None)
    layers = len(trace)
    bits = sorted(int(match[1]) for key in table if (match := _ERROR.fullmatch(key)))
    if not bits:
        raise TableError(f"{file}: table has no delta_weights_<bits>bit_square")
    names = [f"layer{index}" for index in range(layers)]
    if "layer_names" in content:
        names = _listed(file, content, "layer_names", str)
    origin = content.get("origin", "HAWQ")
    if not isinstance(origin, str):
        raise TableError(f"{file}: origin must be text")
    if len(names) != layers:
        raise TableError(f"{file} has {len(names)} layer_names and {layers} traces")

    per_bits = {"score": [trace * _numbers(file, table, f"delta_weights_{b}bit_square", layers) for b in bits]}
    if "parameters" in table:
        weights = _numbers(file, table, "parameters", layers)
        per_bits["size_mb"] = [weights * b / 8 / 1024**2 for b in bits]
    if "bops" in table:
        macs = _numbers(file, table, "bops", layers) / 1e6
        per_bits["bops"] = [macs * b * b / 1024 for b in bits]
    if all(f"latency_int{b}" in table for b in bits):
        per_bits["latency_ms"] = [_numbers(file, table, f"latency_int{b}", layers) for b in bits]

    widths = np.array(bits, dtype=np.int64)
    return Tables.from_arrays(
        {name: list(np.stack(values, axis=1)) for name, values in per_bits.items()},
        blocks=[
            Block(name=name, operators=("layer",) * len(bits), weight_bits=widths, activation_bits=widths)
            for name in names
        ],
        units={"bops": "GBOP"},
        sources=dict.fromkeys(per_bits, f"{file.name}: {origin}"),
        baselines=_published(_listed(file, content, "published", dict), layers, bits),
        ties=_ties(file, content, names),
    )


def _load(file: Path) -> dict[str, Any]:
    content = read_json(file, TableError)
    if not isinstance(content, dict) or not isinstance(content.get("table"), dict):
        raise TableError(f"{file} has no 'table' of sensitivities")
    return content


def _numbers(file: Path, table: dict[str, Any], key: str, length: int | None) -> np.ndarray:
    """(layers,) float64 of one row of the table."""
    if key not in table:
        raise TableError(f"{file}: table has no {key!r}")
    try:
        values = np.array(table[key])
    except ValueError as error:
        raise TableError(f"{file}: {key} must be a row of numbers: {error}") from error
    if values.dtype.kind not in "iuf":
        raise TableError(f"{file}: {key} must be a row of numbers, not of texts, nulls or anything else")
    if values.ndim != 1 or (length is not None and len(values) != length):
        raise TableError(f"{file}: {key} must have one number for each of {length} layers, got {values.shape}")
    return values.astype(np.float64)


def _ties(file: Path, content: dict[str, Any], names: list[str]) -> list[list[str]]:
    ties = _listed(file, content, "ties", list)
    for index in (index for tie in ties for index in tie):
        if type(index) is not int or not 0 <= index < len(names):
            raise TableError(f"{file}: ties must be lists of layer numbers below {len(names)}")
    return [[names[index] for index in tie] for tie in ties]


def _listed(file: Path, content: dict[str, Any], key: str, kind: type[Any]) -> list[Any]:
    """The list under a key, empty where there is none.

    Raises:
        TableError: it is no list, or holds something else than `kind`.
    """
    values = content.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        words = "texts" if kind is str else "lists" if kind is list else "objects"
        raise TableError(f"{file}: {key} must be a list of {words}")
    return values


def _published(entries: list[dict[str, Any]], layers: int, bits: list[int]) -> dict[str, list[int]]:
    """Genomes of the published solutions that give a known bit-width to each layer."""
    solutions: dict[str, list[int]] = {}
    for entry in entries:
        widths = entry.get("weight_bits")
        if isinstance(widths, list) and len(widths) == layers and all(width in bits for width in widths):
            name = f"{entry.get('net', 'net')} {entry.get('scheme', len(solutions))}"
            solutions[name] = [bits.index(width) for width in widths]
    return solutions
