"""A file system without room, in every verb: one sentence, the last good file in place, and all is well with room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cli.test_disk import FOLDERS, WRITERS, Command, evo_qnas, inputs, is_one_sentence

__all__ = ["evo_qnas", "inputs"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Takes all room."""
    with suppress(OSError), path.open("wb", buffering=0) as handle:
        while True:
            handle.write(bytes(4096))


@pytest.mark.parametrize("verb", [verb for verb in WRITERS if verb != "run"])
def test_no_room(inputs: Path, disk: Path, evo_qnas: Command, verb: str) -> None:
    ending = {"import": ".h5", "export": ".csv", "search": ".h5", "report": ".html", "plot": ".png"}.get(verb, "")
    target = disk / f"made{ending}"
    filler = disk / "filler"
    fill(filler)
    code, _, error = evo_qnas(*WRITERS[verb], str(target))
    assert is_one_sentence(code, error), (code, error)
    assert "No space left on device" in error
    assert verb in FOLDERS or [path.name for path in disk.iterdir()] == ["filler"]
    filler.unlink()
    if verb == "report":
        subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)  # a page has megabytes
    assert evo_qnas(*WRITERS[verb], str(target))[0] == 0
    good = target.read_bytes() if target.is_file() else b""
    fill(filler)
    code, _, error = evo_qnas(*WRITERS[verb], str(target), *(["--evaluations", "150"] if verb == "search" else []))
    if verb not in FOLDERS:
        assert is_one_sentence(code, error), (code, error)
        assert target.read_bytes() == good
        assert sorted(path.name for path in disk.iterdir() if ".journal" not in path.name) == ["filler", target.name]
    filler.unlink()
    assert evo_qnas(*WRITERS[verb], str(target))[0] == 0


def test_a_read_only_folder_is_one_sentence(inputs: Path, disk: Path, evo_qnas: Command) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for verb, arguments in WRITERS.items():
        ending = {"import": ".h5", "export": ".csv", "search": ".h5", "report": ".html", "plot": ".png"}.get(verb, "")
        code, _, error = evo_qnas(*arguments, str(disk / f"made{ending}"))
        assert is_one_sentence(code, error), (verb, code, error)
        assert "Read-only file system; choose a path on a file system that can be written to" in error, verb


def test_room_that_ends_while_a_search_is_at_work(inputs: Path, disk: Path, evo_qnas: Command) -> None:
    """The journal is what grows."""
    command = ("search", "tables.h5", "--evaluations", "6000", "--population", "50", "-o")
    filler = disk / "filler"
    fill(filler)
    with filler.open("rb+") as handle:
        handle.truncate(max(0, handle.seek(0, os.SEEK_END) - 32 * 1024))
    code, _, error = evo_qnas(*command, str(disk / "a.h5"))
    filler.unlink()
    if code:
        assert is_one_sentence(code, error), (code, error)
    assert evo_qnas(*command, str(disk / "a.h5"))[0] == 0
    assert evo_qnas(*command, "unbroken.h5")[0] == 0
    from evo_qnas.archive import Archive

    one, other = (Archive.load(path).evaluations for path in (disk / "a.h5", inputs / "unbroken.h5"))
    assert one.genomes.tobytes() == other.genomes.tobytes()
    assert one.objectives.tobytes() == other.objectives.tobytes()
