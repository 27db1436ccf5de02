"""Weights in safetensors files: no pickle, written in one step."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_bytes

_KEY = "evo_qnas"
# What safetensors raises on damaged files, and on kinds of numbers that torch does not know.
_DAMAGE = (SafetensorError, OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, MemoryError)


def save_weights(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Writes tensors and text metadata in one step."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    # One key: safetensors writes several in random order, and equal weights should be equal files.
    write_bytes(path, save(plain, metadata={_KEY: json.dumps(dict(metadata), sort_keys=True)}))


def load_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        NetworkError: the file is missing or no safetensors file.
    """
    if not path.is_file():
        raise NetworkError(f"there is no weights file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, _texts(file.metadata())
    except _DAMAGE as error:
        raise NetworkError(f"{path} is no readable safetensors file: {error}") from error


def read_metadata(path: Path) -> dict[str, str] | None:
    """Metadata of a safetensors file, None where the file is missing or unreadable."""
    try:
        with safe_open(path, framework="pt") as file:
            return _texts(file.metadata())
    except _DAMAGE:
        return None


def _texts(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Our own entries of a file's metadata; none where another program wrote it."""
    try:
        content = json.loads((metadata or {}).get(_KEY, "{}"))
    except (ValueError, RecursionError):
        return {}
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else {}
