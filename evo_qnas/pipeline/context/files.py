"""Files of a run folder that carry the fingerprint of what they were made from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evo_qnas.networks.models.weights import read_metadata


def made_from(path: Path, fingerprint: str) -> bool:
    """True where a safetensors file is there, readable, and made from what `fingerprint` stands for."""
    metadata = read_metadata(path) if path.is_file() else None
    return metadata is not None and metadata.get("fingerprint") == fingerprint


def read_json(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The content of a JSON file of ours made from what `fingerprint` stands for, else None."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    good = isinstance(content, dict) and content.get("fingerprint") == fingerprint
    return content if good else None


def to_json(content: Mapping[str, Any]) -> str:
    """JSON text of ours: readable, ends with a line end."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
