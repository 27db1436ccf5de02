"""What a file needs beside its numbers: names of classes, and how raw inputs become the network's."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.bundle import Facts

# Keys of preprocessing without which raw pixels cannot be taken.
_NEEDED = ("mean", "std")


def facts_path(path: Path) -> Path:
    """The JSON file beside a file that cannot carry facts itself."""
    return path.with_name(f"{path.name}.json")


def write_beside(path: Path, facts: Facts) -> None:
    """Writes `facts_path`."""
    write_text(facts_path(path), json.dumps(entries_of(facts), indent=1) + "\n")


def entries_of(facts: Facts) -> dict[str, Any]:
    """The facts that are known, as JSON has them.

    Example:
        >>> entries_of(Facts(classes=("cat", "dog")))
        {'classes': ['cat', 'dog']}
    """
    known = {"classes": list(facts.classes)} if facts.classes else {}
    return known if facts.preprocessing is None else {**known, "preprocessing": dict(facts.preprocessing)}


def constants_of(preprocessing: Mapping[str, Any] | None) -> tuple[float, list[float], list[float]]:
    """Divisor, mean and deviation of each channel.

    Raises:
        NetworkError: nothing is known of them.
    """
    missing = _missing(preprocessing)
    if preprocessing is None or missing:
        raise NetworkError(
            f"a file cannot take raw pixels without preprocessing that names {' and '.join(missing or _NEEDED)}: "
            "give Study(preprocessing={'divide': 255.0, 'mean': [..], 'std': [..]})"
        )
    mean, std = (list(map(float, np.atleast_1d(preprocessing[key]))) for key in _NEEDED)
    return float(preprocessing.get("divide", 1.0)), mean, std


def _missing(preprocessing: Mapping[str, Any] | None) -> list[str]:
    """The keys of `_NEEDED` that are not given, or empty; 0 is a number."""
    return [key for key in _NEEDED if not np.size(() if (value := (preprocessing or {}).get(key)) is None else value)]


def check_raw(sample: Any, preprocessing: Mapping[str, Any] | None) -> None:
    """Refuses raw pixels where a network takes something else, or the preprocessing is not known.

    Args:
        sample: what the network takes.
        preprocessing: how raw pixels become that.

    Raises:
        NetworkError: with the reason.
    """
    _, mean, std = constants_of(preprocessing)
    if not isinstance(sample, torch.Tensor) or sample.ndim != 4:
        raise NetworkError("raw pixels are for networks that take images (n, channels, height, width) and nothing else")
    if {len(mean), len(std)} - {1, sample.shape[1]}:
        raise NetworkError(
            f"preprocessing has {len(mean)} means and {len(std)} deviations for {sample.shape[1]} channels"
        )


def normalised(pixels: UInt8[np.ndarray, "n h w c"], preprocessing: Mapping[str, Any]) -> Float[np.ndarray, "n c h w"]:
    """Raw pixels as a network takes them.

    Example:
        >>> pixels = np.full((1, 1, 1, 2), 255, dtype=np.uint8)
        >>> normalised(pixels, {"divide": 255.0, "mean": [0.5, 0.0], "std": [0.5, 1.0]}).ravel().tolist()
        [1.0, 1.0]
    """
    divide, mean, std = constants_of(preprocessing)
    low, spread = (np.asarray(numbers, dtype=np.float32) for numbers in (mean, std))
    values = (pixels.astype(np.float32) / np.float32(divide) - low) / spread
    return np.ascontiguousarray(np.moveaxis(values, -1, 1))


def in_words(facts: Facts) -> str:
    """How raw inputs become the network's, in a line; "" where nothing is known.

    Example:
        >>> in_words(Facts(preprocessing={"divide": 255.0, "mean": [0.5], "std": [0.25], "channels": "RGB"}))
        '(raw / 255 - 0.5) / 0.25, RGB'
        >>> in_words(Facts(preprocessing={"mean": 0.0, "std": 1.0}))
        '(raw - 0) / 1'
    """
    known = facts.preprocessing or {}
    if _missing(known):
        return ""
    divide, mean, std = constants_of(known)
    low, spread = (f"{v[0]:g}" if len(v) == 1 else "[" + ", ".join(f"{x:g}" for x in v) + "]" for v in (mean, std))
    raw = "raw" if divide == 1.0 else f"raw / {divide:g}"
    return ", ".join([f"({raw} - {low}) / {spread}", *map(str, filter(None, [known.get("channels")]))])
