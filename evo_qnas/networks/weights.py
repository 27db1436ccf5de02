"""Weights in safetensors files: no pickle, written in one step."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_bytes


def save_weights(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Writes tensors and text metadata in one step."""
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_bytes(path, save(plain, metadata=dict(sorted(metadata.items()))))


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
            return tensors, dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise NetworkError(f"{path} is no readable safetensors file: {error}") from error


def read_metadata(path: Path) -> dict[str, str] | None:
    """Metadata of a safetensors file, None where the file is missing or unreadable."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError):
        return None
