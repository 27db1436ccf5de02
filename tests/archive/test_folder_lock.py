"""One writer in a folder of results: runs, comparisons, folders that move."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from evo_qnas.archive.locking import FOLDER_LOCK, sole_writer
from evo_qnas.compare import compare
from evo_qnas.errors import ArchiveError, CardError, FileError
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables

fcntl = pytest.importorskip("fcntl")
HOLDER = """
import sys
from pathlib import Path
from evo_qnas.archive.locking import sole_writer
from evo_qnas.errors import ArchiveError
with sole_writer(Path(sys.argv[1]), ArchiveError):
    print("here", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that works in a folder until its input ends."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    return process


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    with holder(folder) as other:
        for _ in range(2):
            with (
                pytest.raises(CardError, match=rf"is being written by process {other.pid} on .*: wait for it, or give"),
                sole_writer(folder, CardError),
            ):
                pass
        other.communicate()
    # What the other left empty it has removed.
    assert not folder.exists()
    with sole_writer(folder, CardError) as still_there:
        still_there()
        (folder / "a").touch()
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    with holder(tmp_path) as other:
        other.kill()
    assert (tmp_path / FOLDER_LOCK).exists()
    with sole_writer(tmp_path, CardError):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["moved", "removed", "replaced"])
def test_a_folder_that_goes_is_noticed(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "results"
    with sole_writer(folder, CardError) as still_there:
        still_there()
        if what == "removed":
            (folder / FOLDER_LOCK).unlink()
            folder.rmdir()
        else:
            folder.rename(tmp_path / "elsewhere")
        if what == "replaced":
            folder.mkdir()
            (folder / FOLDER_LOCK).touch()
        with pytest.raises(CardError, match="results was moved or removed while this process worked there: run the"):
            still_there()
    if what == "moved":
        with sole_writer(tmp_path / "elsewhere", CardError):
            pass


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    long = tmp_path / "/".join(["folder"] * 700)
    for folder in (tmp_path / "file", tmp_path / "file" / "a", Path("/proc/a"), tmp_path / ("a" * 300), long):
        with pytest.raises(FileError, match="cannot be written: "), sole_writer(folder, CardError):
            pass


def test_folders_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(ArchiveError, match="cannot be locked: its file system has no locks"),
        sole_writer(tmp_path, CardError),
    ):
        pass
    monkeypatch.setenv("EVO_QNAS_LOCKS", "off")
    with sole_writer(tmp_path, CardError):
        pass


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": null}'])
def test_a_process_without_a_name_is_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    (tmp_path / FOLDER_LOCK).write_text(content)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(CardError, match=rf"{tmp_path.name} is being written by another process: wait for it"),
        sole_writer(tmp_path, CardError),
    ):
        pass
    assert (tmp_path / FOLDER_LOCK).read_text() == content, "it is the other one's"


def test_two_comparisons_in_one_folder(tmp_path: Path) -> None:
    problem = TableProblem(generate_tables(3, operators=2))
    with holder(tmp_path) as other:
        with pytest.raises(ArchiveError, match=rf"is being written by process {other.pid}"):
            compare(problem, seeds=1, evaluations=10, path=tmp_path, progress=False)
        other.communicate()
    compare(problem, seeds=1, evaluations=10, path=tmp_path, progress=False)
    assert (tmp_path / "comparison.json").exists()
    assert not (tmp_path / FOLDER_LOCK).exists()
