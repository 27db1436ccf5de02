"""Datasets and groups of an archive file, as declared: no links, filters or objects."""

from math import prod
from typing import Any

import h5py
import numpy as np


def child(group: h5py.Group, name: str) -> Any:
    """The group or dataset of that name, reached by a hard link only."""
    link = group.get(name, getlink=True)
    if link is None:
        raise ValueError(f"{group.name.rstrip('/')}/{name} is missing")
    if not isinstance(link, h5py.HardLink):
        raise ValueError(f"{group.name.rstrip('/')}/{name} is a link, which is not followed")
    return group[name]


def plain_dataset(group: h5py.Group, name: str, kinds: str, ndim: int) -> h5py.Dataset:
    """A dataset whose bytes lie in this file as declared: no links, filters, outside storage or objects.

    Raises:
        ValueError: it is anything else; the text says what.
    """
    data = child(group, name)
    if not isinstance(data, h5py.Dataset):
        raise ValueError(f"{data.name} is no dataset")
    properties = data.id.get_create_plist()
    if properties.get_layout() not in {h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT} or properties.get_external_count():
        raise ValueError(f"{data.name} is not stored in one piece in this file")
    if data.shape is None or data.ndim != ndim or data.dtype.kind not in kinds or data.dtype.hasobject:
        raise ValueError(f"{data.name} has the type {data.dtype} and the shape {data.shape}, which no archive has")
    if prod(data.shape) * data.dtype.itemsize > max(data.id.get_storage_size(), 0):
        raise ValueError(f"{data.name} declares more values than the file holds")
    return data


def array(group: h5py.Group, name: str, kinds: str, ndim: int) -> np.ndarray:
    """The values of a plain dataset."""
    return np.asarray(plain_dataset(group, name, kinds, ndim)[()])
