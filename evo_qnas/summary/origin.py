"""How the network of a run folder becomes a file: by a command, or in the Python that made the folder."""

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def is_of_python(card: Mapping[str, Any]) -> bool:
    """True for the resolved card of a `Study` of live objects: it has their digests, and no task that it could name."""
    return "workload" in card and "task" not in card


def export_way(folder: Path, network: str, *, shown: str | None = None) -> str:
    """The command that writes a network's file, or the line of Python where only the `Study` can.

    Args:
        folder: of the run.
        network: its id.
        shown: the folder as people are shown it; as it is where absent.
    """
    place = shown or str(folder)
    try:
        card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        card = {}
    if is_of_python(card):
        return f'study.network("{network}").export("{network}.onnx")  # of the Study in {place}'
    return shlex.join(["evo-qnas", "export", place, "--network", network, "-o", f"{network}.onnx"])
