"""Locks of journals and of folders, for one writer each; on file systems without locks they can be switched off."""

import errno
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evo_qnas.errors import ArchiveError, EvoQnasError, FileError

# In a folder of results while a process works there.
FOLDER_LOCK = ".evo_qnas.lock"
SWITCH = "EVO_QNAS_LOCKS"
_OFF = "off"
# Python has the third under another number on some systems.
_CAUSES = {
    errno.ENOLCK: "its file system has no locks left (a network file system without its lock service?)",
    errno.ENOSYS: "its file system has no locks",
    errno.ENOTSUP: "its file system has no locks",
    errno.EOPNOTSUPP: "its file system has no locks",
    errno.EINVAL: "its file system has no locks",
}


def locks_are_off() -> bool:
    """True where the user says that no second process writes: `EVO_QNAS_LOCKS=off`.

    Raises:
        ArchiveError: the variable holds another text.
    """
    text = os.environ.get(SWITCH, "on").strip().lower()
    if text not in {"on", _OFF, ""}:
        raise ArchiveError(f"{SWITCH} is {text!r}: set it to on or off")
    return text == _OFF


def lock(descriptor: int, name: str) -> bool:
    """True where this process now holds the only lock; the lock ends with the process, however that ends.

    Args:
        descriptor: of the open file.
        name: of the archive, for the error.

    Raises:
        ArchiveError: the file system has no locks; the text says what to do.
    """
    if sys.platform == "win32" or locks_are_off():
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _CAUSES:
            raise
        raise ArchiveError(
            f"{name} cannot be locked: {_CAUSES[error.errno]}; choose a path on a local disk, or set "
            f"{SWITCH}={_OFF} and see to it that no second process writes there"
        ) from error
    return True


@contextmanager
def sole_writer(folder: Path, error: type[EvoQnasError]) -> Iterator[Callable[[], None]]:
    """A block in which this process alone writes to a folder; it yields a check that the folder is still there.

    Args:
        folder: made where it is missing, and removed again where nothing was put into it.
        error: what is raised where another process works there, or where the check finds the folder moved or removed.

    Raises:
        FileError: the folder cannot be written.
        ArchiveError: its file system has no locks; the text says what to do.
    """
    path, made = folder / FOLDER_LOCK, not os.path.exists(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder, path, error)
    except FileNotFoundError as cause:
        # The other process has just ended, and taken the empty folder with it.
        raise FileError(cause.errno, cause.strerror, str(folder)) from cause
    except OSError as cause:
        if isinstance(cause, EvoQnasError):
            raise
        raise FileError(cause.errno, cause.strerror, str(folder)) from cause

    def still_there() -> None:
        if not _same_file(path, descriptor):
            raise error(
                f"{folder} was moved or removed while this process worked there: run the same command again, with the "
                "folder's path as it is now"
            )

    try:
        yield still_there
    finally:
        with suppress(OSError):
            if _same_file(path, descriptor):
                path.unlink()
        os.close(descriptor)
        if made:
            with suppress(OSError):
                folder.rmdir()


def _locked(folder: Path, path: Path, error: type[EvoQnasError]) -> int:
    """A descriptor of the folder's lock, which this process holds, with its name in it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        held = False
        try:
            held = lock(descriptor, str(folder))
            ours = held and _same_file(path, descriptor)
            if ours:
                with suppress(OSError):  # no room: others then learn less
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not held:
            raise error(
                f"{folder} is being written by {_owner(path)}: wait for it, or give another folder with -o (folder=..)"
            )


def _owner(path: Path) -> str:
    """The process that holds a folder's lock, in words."""
    try:
        owner = json.loads(path.read_bytes()[:4096])
        return f"process {int(owner['pid'])} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _same_file(path: Path, descriptor: int) -> bool:
    """True while the path names the open file; a writer that ended in between has removed it."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
