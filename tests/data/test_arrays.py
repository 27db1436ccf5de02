"""Arrays of strangers as data: labels and pixels that no network can use."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.data.arrays import load_arrays_splits
from evo_qnas.errors import DataError


def write(folder: Path, **train: Any) -> Path:
    """Three parts of ten images, with the given arrays in the train part."""
    for part in ("train", "search", "test"):
        arrays = {"pixels": np.zeros((10, 1, 4, 4), dtype=np.float32), "labels": np.arange(10)}
        np.savez_compressed(folder / f"{part}.npz", **(arrays | (train if part == "train" else {})))
    return folder


def test_arrays_that_are_right(tmp_path: Path) -> None:
    splits = load_arrays_splits(write(tmp_path, labels=np.arange(10, dtype=np.uint64) % 3))
    assert splits.classes == tuple(map(str, range(10))), "classes of all parts"
    assert splits.train.labels.tolist() == [0, 1, 2] * 3 + [0]


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"labels": np.full(10, 2**40)}, r"labels must be from 0 to 65,535, got 1099511627776 to"),
        ({"labels": np.full(10, 2**64 - 1, dtype=np.uint64)}, r"labels must be from 0 to 65,535"),
        ({"labels": np.full(10, -1)}, r"labels must be from 0 to 65,535, got -1"),
        ({"labels": np.zeros(10)}, r"labels must be integers, got float64"),
        ({"labels": np.zeros(10, dtype="datetime64[s]")}, r"labels must be integers, got datetime64"),
        ({"pixels": np.full((10, 1, 4, 4), 1e300)}, r"pixels must be numbers within \+-1e\+06"),
        ({"pixels": np.full((10, 1, 4, 4), np.nan)}, r"pixels must be numbers within \+-1e\+06"),
        ({"pixels": np.zeros((10, 1, 4, 4), dtype=complex)}, r"pixels must be real numbers, got complex128"),
        ({"pixels": np.zeros((10, 1, 4, 4), dtype="timedelta64[s]")}, r"pixels must be real numbers, got timedelta64"),
        ({"pixels": np.zeros((10, 1, 4, 4), dtype="U3")}, r"pixels must be real numbers, got <U3"),
        ({"pixels": np.zeros((10, 0, 4, 4))}, r"needs pixels \(n, channels, height, width\)"),
        ({"pixels": np.zeros((10, 1, 4, 4), dtype=object)}, r"holds objects, which would run code"),
        ({"pixels": np.zeros((600_000, 1, 4, 4))}, r"more than the file can have"),
    ],
)
def test_arrays_that_cannot_be_meant(tmp_path: Path, arrays: dict[str, Any], match: str) -> None:
    with pytest.raises(DataError, match=match):
        load_arrays_splits(write(tmp_path, **arrays))
