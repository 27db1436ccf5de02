"""Decoded files are whole or absent, shared, and made anew when anything changed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest

from evo_qnas.data import DataCard, caching, load_splits
from evo_qnas.data.caching import make_arrays
from evo_qnas.errors import DataError
from tests.data.conftest import write_image, write_label


def item(index: int, *, log: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Image and labels full of the index; every call leaves a line."""
    if log is not None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
    return np.full((3, 4, 5), index, dtype=np.uint8), np.full((4, 5), index + 1, dtype=np.uint8)


def made(cache: Path | None, *, count: int = 40, jobs: int = 1, log: Path | None = None) -> np.ndarray:
    make = partial(item, log=log)
    pixels, labels = make_arrays(make, range(count), (4, 5), cache=cache, name="x", label="made", jobs=jobs)
    assert np.array_equal(pixels[:, 0, 0, 0], np.arange(count))
    assert np.array_equal(labels, np.broadcast_to(np.arange(1, count + 1)[:, None, None], (count, 4, 5)))
    return pixels


def calls(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_made_once_then_mapped(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert isinstance(made(tmp_path / "cache", log=log), np.memmap)
    made(tmp_path / "cache", log=log)
    assert calls(log) == 40
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["x.labels.npy", "x.pixels.npy"]


def test_writing_to_images_leaves_the_files_alone(tmp_path: Path) -> None:
    pixels = made(tmp_path)
    pixels[:] = 99
    made(tmp_path)


def test_a_worker_is_sent_the_sources_of_its_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, ...]] = []

    def kept(function: Any) -> Any:
        def call(make: Any, sources: Sequence[int], *rest: Any) -> Any:
            sent.append(tuple(sources))
            return joblib.delayed(function)(make, sources, *rest)

        return call

    monkeypatch.setattr(caching, "joblib", SimpleNamespace(delayed=kept, Parallel=joblib.Parallel))
    made(None)
    assert sent == [tuple(range(16, 32)), tuple(range(32, 40))]


@pytest.mark.slow
@pytest.mark.parametrize("into_files", [True, False])
def test_worker_processes_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into_files: bool) -> None:
    monkeypatch.setattr(caching, "_STARTING_SECONDS", 0.0)
    log = tmp_path / "log"
    made(tmp_path / "cache" if into_files else None, jobs=2, log=log)
    workers = set(log.read_text().splitlines()) - {str(os.getpid())}
    assert workers
    assert calls(log) == 40


@pytest.mark.parametrize("spoil", ["cut", "shape", "gone", "text"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, spoil: str) -> None:
    log, path = tmp_path / "log", tmp_path / "x.labels.npy"
    made(tmp_path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif spoil == "shape":
        np.save(path, np.zeros((40, 4, 6), dtype=np.uint8))
    elif spoil == "gone":
        path.unlink()
    else:
        path.write_text("none of ours")
    made(tmp_path, log=log)
    assert calls(log) == 40


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fails(index: int) -> tuple[np.ndarray, np.ndarray]:
        if index == 30:
            raise DataError("image 30 is odd")
        return item(index)

    with pytest.raises(DataError, match="image 30 is odd"):
        make_arrays(fails, range(40), (4, 5), cache=tmp_path, name="x", label="made")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_gets_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(DataError, match=r"need 0\.0 GB in .*: No space left on device; set data\.cache to"):
        made(tmp_path)


def test_a_kill_leaves_no_half_file_to_be_read(tmp_path: Path) -> None:
    """Killed after 20 of 40 images were written: the next call makes all of them, and the remains go in time."""
    code = f"""
        import os, signal, sys, numpy as np
        from pathlib import Path
        from evo_qnas.data.caching import make_arrays
        def item(index):
            if index == 33:
                os.kill(os.getpid(), signal.SIGKILL)
            return np.full((3, 4, 5), 200, dtype=np.uint8), np.full((4, 5), 200, dtype=np.uint8)
        make_arrays(item, range(40), (4, 5), cache=Path({str(tmp_path)!r}), name="x", label="made")
    """
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert ended.returncode == -signal.SIGKILL
    remains = list(tmp_path.iterdir())
    assert sorted(path.name.split(".")[1:4] for path in remains) == [["x", "labels", "npy"], ["x", "pixels", "npy"]]
    made(tmp_path)
    assert all(path.exists() for path in remains)
    for path in remains:
        os.utime(path, (time.time() - 7200,) * 2)
    made(tmp_path)
    assert not any(path.exists() for path in remains)


def test_changed_files_are_decoded_anew(camvid: Path, tmp_path: Path) -> None:
    card, rng = DataCard(name="camvid", folder=camvid), np.random.default_rng(7)
    first = load_splits(card, cache=tmp_path / "cache")
    files = set((tmp_path / "cache").iterdir())
    assert len(files) == 6
    load_splits(card, cache=tmp_path / "cache")
    assert set((tmp_path / "cache").iterdir()) == files
    changed = write_image(camvid / "train" / "train_2.png", rng)
    again = load_splits(card, cache=tmp_path / "cache")
    assert np.array_equal(again.train.pixels[2].permute(1, 2, 0).numpy(), changed)
    assert np.array_equal(again.train.pixels[1].numpy(), first.train.pixels[1].numpy())
    assert len(set((tmp_path / "cache").iterdir()) - files) == 2
    values = write_label(camvid / "testannot" / "test_0.png", np.full((12, 16), 4))
    assert np.array_equal(load_splits(card, cache=tmp_path / "cache").test.labels[0].numpy(), values)
    small = load_splits(card.model_copy(update={"height": 8, "width": 8}), cache=tmp_path / "cache")
    assert small.train.pixels.shape == (4, 3, 8, 8)


def test_the_card_may_name_the_cache(camvid: Path, tmp_path: Path) -> None:
    load_splits(DataCard(name="camvid", folder=camvid, cache=tmp_path / "mine"), cache=tmp_path / "other")
    assert len(list((tmp_path / "mine").iterdir())) == 6
    assert not (tmp_path / "other").exists()
