"""Locks that a file system refuses are named by their cause; the user may do without them."""

import errno
import os
import sys
from pathlib import Path

import pytest

from evo_qnas.archive import Archive, Header, Recorder
from evo_qnas.archive.journal import journal_path
from evo_qnas.errors import ArchiveError

fcntl = pytest.importorskip("fcntl")


@pytest.fixture
def refused(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file system whose locks end in the error of the parameter."""
    number = int(request.param)

    def refuse(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    return number


@pytest.mark.parametrize(
    ("refused", "cause"),
    [
        (errno.ENOLCK, "its file system has no locks left"),
        (errno.ENOTSUP, "its file system has no locks;"),
        (errno.EOPNOTSUPP, "its file system has no locks;"),
        (errno.ENOSYS, "its file system has no locks;"),
        (errno.EINVAL, "its file system has no locks;"),
    ],
    indirect=["refused"],
)
def test_a_file_system_without_locks_is_named_and_nothing_stays(
    tmp_path: Path, header: Header, refused: int, cause: str
) -> None:
    way = r"choose a path on a local disk, or set EVO_QNAS_LOCKS=off and see to it that no second process writes there"
    with pytest.raises(ArchiveError, match=rf"a\.h5 cannot be locked: {cause}.* {way}") as caught:
        Recorder.open(tmp_path / "a.h5", header)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == refused
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refused", [errno.ENOLCK, errno.EAGAIN], indirect=True)
def test_without_locks_where_the_user_says_so(
    tmp_path: Path, header: Header, refused: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused
    monkeypatch.setenv("EVO_QNAS_LOCKS", "off")
    with Recorder.open(tmp_path / "a.h5", header) as recorder:
        recorder.finish()
    assert Archive.load(tmp_path / "a.h5").finished
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_word_that_is_no_switch_is_refused(tmp_path: Path, header: Header, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVO_QNAS_LOCKS", "maybe")
    with pytest.raises(ArchiveError, match="EVO_QNAS_LOCKS is 'maybe': set it to on or off"):
        Recorder.open(tmp_path / "a.h5", header)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("refused", [errno.EAGAIN], indirect=True)
@pytest.mark.parametrize("content", [b"", b"evo_qnas log  1\n"])
def test_a_writer_without_a_name_is_another_process(
    tmp_path: Path, header: Header, refused: int, content: bytes
) -> None:
    assert refused
    journal_path(tmp_path / "a.h5").write_bytes(content)
    text = r"a\.h5 is being written by another process, which has not put its name into a\.h5\.journal yet: wait for it"
    with pytest.raises(ArchiveError, match=text):
        Recorder.open(tmp_path / "a.h5", header)
    assert journal_path(tmp_path / "a.h5").read_bytes() == content, "it is the other one's"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_no_empty_journal_stays_where_nothing_can_be_written(
    tmp_path: Path, header: Header, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", refuse)
        with pytest.raises(ArchiveError, match=r"a\.h5 cannot be written: .*; "):
            Recorder.open(tmp_path / "a.h5", header)
    assert not journal_path(tmp_path / "a.h5").exists()


def test_an_archive_and_its_link_have_one_journal(tmp_path: Path, header: Header) -> None:
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere" / "a.h5", tmp_path / "link.h5"
    link.symlink_to(file)
    with Recorder.open(link, header) as recorder:
        with pytest.raises(ArchiveError, match=rf"a\.h5 is being written by process {os.getpid()} on "):
            Recorder.open(file, header)
        recorder.finish()
    assert link.is_symlink()
    assert [path.name for path in file.parent.iterdir()] == ["a.h5"]
    assert Archive.load(link).finished


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes with names")
@pytest.mark.parametrize("name", ["a.h5", "a.h5.journal"])
def test_a_pipe_is_no_archive_and_no_journal(tmp_path: Path, header: Header, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ArchiveError, match=r"a\.h5 cannot be written: it is a device, pipe or socket; give the path"):
        Recorder.open(tmp_path / "a.h5", header)
    assert [path.name for path in tmp_path.iterdir()] == [name]
