"""The files of a bundle: `graph.json` and `weights.safetensors`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.bundle.graph import graph_json, network_of
from evo_qnas.networks.models.weights import load_weights, read_metadata
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.reading import read_json

GRAPH, WEIGHTS = "graph.json", "weights.safetensors"
_FORMAT, _VERSION = "evo_qnas.network", 1


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a network needs beside its numbers.

    Attributes:
        classes: names in the order of the outputs; () where there are none.
        preprocessing: how raw inputs become those of the network, such as `mean`, `std`, `size`, `layout`.
    """

    classes: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] | None = None


def write_bundle(network: QuantizedNetwork, folder: Path, *, fingerprint: str, facts: Facts | None = None) -> None:
    """Writes the graph beside the weights, which carry the same fingerprint.

    Raises:
        NetworkError: an operation of the network cannot be written.
    """
    known = facts or Facts()
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "fingerprint": fingerprint,
        "classes": list(known.classes),
        "preprocessing": None if known.preprocessing is None else dict(known.preprocessing),
        **graph_json(network),
    }
    write_text(folder / GRAPH, json.dumps(content, indent=1) + "\n")


def read_bundle(folder: Path) -> tuple[QuantizedNetwork, Facts]:
    """The network of a folder with its integers, and what it needs beside them; nothing else is read.

    Raises:
        NetworkError: a file is missing, damaged or of another version, or the two do not belong together.
    """
    path = folder / GRAPH
    if not path.is_file():
        raise NetworkError(f"{folder} holds no network: there is no {GRAPH}")
    content = read_json(path, NetworkError)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise NetworkError(f"{path} is no graph of evo_qnas")
    if content.get("version") != _VERSION:
        raise NetworkError(f"{path} is of version {content.get('version')}, this evo_qnas reads {_VERSION}")
    metadata = read_metadata(folder / WEIGHTS) or {}
    if metadata.get("fingerprint") != content.get("fingerprint"):
        raise NetworkError(f"{folder / WEIGHTS} does not belong to {path}: copy both from one run")
    facts = _facts_of(content, path)
    network = network_of(content)
    weights = load_weights(folder / WEIGHTS)[0]
    try:
        network.restore(weights)
    except (TypeError, ValueError, IndexError, RuntimeError, OverflowError) as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError(f"{folder / WEIGHTS} does not fit {path}: {error}") from error
    return network, facts


def _facts_of(content: Mapping[str, Any], path: Path) -> Facts:
    """Class names and preprocessing of a graph's file."""
    classes, preprocessing = content.get("classes"), content.get("preprocessing")
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes)
    if not named or not isinstance(preprocessing, dict | None):
        raise NetworkError(f"{path} is damaged: classes must be a list of names, and preprocessing a table or null")
    return Facts(classes=tuple(classes or ()), preprocessing=preprocessing)
