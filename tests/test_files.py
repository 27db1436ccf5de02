"""Files that are replaced in one step: what is refused, what stays, what an error says."""

import errno
import os
import pickle
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from evo_qnas.errors import EvoQnasError, FileError, sentence
from evo_qnas.files import replacing, reserve, write_bytes, write_text, written_path


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file, link, second = tmp_path / "elsewhere" / "a.txt", tmp_path / "a.txt", tmp_path / "b.txt"
    file.write_text("old")
    link.symlink_to(file)
    second.symlink_to(link)
    write_text(second, "new")
    assert (file.read_text(), link.is_symlink(), second.is_symlink()) == ("new", True, True)
    assert list(file.parent.iterdir()) == [file]


def test_a_link_to_nothing_makes_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("later/b.txt")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "later" / "b.txt").read_text() == "new"


def test_links_that_go_round_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(FileError, match=r"a cannot be written: .*; its links lead round in a circle"):
        write_text(tmp_path / "a", "new")


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Path.mkdir, "a folder"),
        (os.mkfifo, "a device, pipe or socket"),
        (_make_socket, "a device, pipe or socket"),
    ],
)
def test_what_is_no_regular_file_is_refused_and_stays(
    tmp_path: Path, make: Callable[[Path], None], what: str, linked: bool
) -> None:
    target = path = tmp_path / "made"
    make(target)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(target)
    before = stat.S_IFMT(target.stat().st_mode)
    for write in (lambda: write_bytes(path, b"new"), lambda: reserve(path, 8)):
        with pytest.raises(FileError, match=rf"{path} cannot be written: it is {what}; give the path of a file"):
            write()
    assert stat.S_IFMT(target.stat().st_mode) == before
    assert path.is_symlink() == linked


@pytest.mark.parametrize("path", ["/", ".", "..", "/dev/null", "/proc/self"])
def test_folders_and_devices_of_the_system_are_refused(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"needs {path}")
    with pytest.raises(FileError, match=r"cannot be written: it is a (folder|device)"):
        written_path(path)


def test_a_full_disk_leaves_the_last_good_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(
        FileError, match=r"a\.txt cannot be written: No space left on device; make room, then"
    ) as caught:
        write_text(path, "new")
    assert isinstance(caught.value, EvoQnasError)
    assert caught.value.errno == errno.ENOSPC
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "old")]
    monkeypatch.undo()
    write_text(path, "new")
    assert path.read_text() == "new"


def test_room_is_made_before_a_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"0123")
    reserve(path, 2)
    assert path.read_bytes() == b"0123"
    reserve(path, 8)
    assert path.read_bytes() == b"0123" + bytes(4)
    monkeypatch.setattr(os, "posix_fallocate", _full, raising=False)
    with pytest.raises(FileError, match=r"a\.bin cannot be written: No space left on device; make room"):
        reserve(path, 1 << 20)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("file/a.txt", "a part of the path is a file where a folder is needed"),
        ("file/deep/a.txt", "a part of the path is a file where a folder is needed"),
        ("a" * 5000, "File name too long; choose a shorter path"),
        ("/".join(["folder"] * 800), "File name too long; choose a shorter path"),
        ("a" * 256, "File name too long; choose a shorter path"),
    ],
)
def test_a_path_that_cannot_be_is_one_sentence(tmp_path: Path, path: str, text: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=f" cannot be written: .*{text}"):
        write_text(tmp_path / path, "new")


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 125 + ".csv")
    write_text(path, "new")
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_is_no_utf_8_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        FileError, match=r"a\.txt cannot be written: a name in its text is not UTF-8; use names that are"
    ):
        write_text(tmp_path / "a.txt", "caf\udce9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "other.png"), OSError("no picture")])
def test_errors_of_other_files_stay_what_they_are(tmp_path: Path, error: OSError) -> None:
    with pytest.raises(OSError, match=r"No such file|no picture") as caught, replacing(tmp_path / "a.txt"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            PermissionError(errno.EACCES, "Permission denied", "a.h5"),
            "a.h5: Permission denied; give permission, or choose another path",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "a.h5"),
            "a.h5: Read-only file system; choose a path on a file system that can be written to",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device; make room, then run the same command again",
        ),
        (OSError(errno.EBADF, "Bad file descriptor", 7), "Bad file descriptor; check the disk and the path"),
        (OSError("truncated"), "truncated"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_error_of_the_disk_is_one_sentence(error: OSError, text: str) -> None:
    assert sentence(error) == text
