"""Live objects for worker processes: written once, large tensors beside them, which every process maps.

The file is code as much as data, as every pickle is: a run writes it for its own workers and removes it at its end.
"""

import io
import pickle
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import cloudpickle
import numpy as np
import torch

from evo_qnas.errors import JobError
from evo_qnas.files import write_bytes

# Smaller ones go into the file itself.
_LARGE = 1 << 20


def hand_over(value: Any, path: Path) -> None:
    """Writes a value; closures and classes of scripts go along, large arrays and tensors into files beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    _Writer(buffer, path).dump(value)
    write_bytes(path, buffer.getvalue())


@lru_cache(maxsize=2)
def received(path: Path) -> Any:
    """The value that was handed over; a process reads it once.

    Raises:
        JobError: the file is gone, because its run has ended.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            # torch warns of its own class wherever the structure of a nest is read.
            warnings.filterwarnings("ignore", message=r".*LeafSpec", category=FutureWarning)
            return _Reader(file, path).load()
    except FileNotFoundError as error:
        raise JobError(f"{path} is gone: the run that wrote it has ended, start it again") from error


@final
class _Writer(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Puts large tensors and arrays into files of their own."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self._path, self._known, self._alive = path, dict[int, tuple[Any, ...]](), list[Any]()

    def persistent_id(self, value: Any) -> Any:
        """What stands for a large tensor or array in the file; None for anything else."""
        if id(value) in self._known:
            return self._known[id(value)]
        if type(value) is torch.Tensor and value.device.type == "cpu" and not value.requires_grad:
            kind, large = "tensor", value.nbytes >= _LARGE and value.layout is torch.strided
        elif type(value) is np.ndarray and value.dtype.kind in "biuf":
            kind, large = "array", value.nbytes >= _LARGE
        else:
            return None
        if not large:
            return None
        place = self._path.with_suffix(f".{len(self._known)}.bin")
        tensor = torch.from_numpy(np.ascontiguousarray(value)) if kind == "array" else value.detach().contiguous()
        tensor.reshape(-1).view(torch.uint8).numpy().tofile(place)
        mark = (kind, place.name, tuple(value.shape), str(value.dtype).removeprefix("torch."))
        self._known[id(value)] = mark
        self._alive.append(value)
        return mark


@final
class _Reader(pickle.Unpickler):
    """Maps the files of large tensors and arrays."""

    def __init__(self, file: Any, path: Path) -> None:
        super().__init__(file)
        self._path = path

    def persistent_load(self, pid: Any) -> Any:
        """A tensor or array whose pages are shared by all processes until one of them writes."""
        kind, name, shape, dtype = pid
        place = self._path.with_name(name)
        if kind == "array":
            return np.memmap(place, dtype=dtype, mode="c", shape=shape)
        count = int(np.prod(shape))
        return torch.from_file(str(place), size=count, dtype=getattr(torch, dtype)).view(*shape)
