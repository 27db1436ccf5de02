"""One job per device: a job claims a GPU that no other job of this machine holds."""

import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evo_qnas.errors import JobError
from evo_qnas.terminal import say

# Jobs on a device run for minutes: a fifth of a second is nothing beside them, and costs no time of the processor.
_POLL_SECONDS = 0.2


@contextmanager
def claimed_device(count: int) -> Iterator[int]:
    """The index of a device that belongs to this job alone until the block ends, or the process does.

    Jobs of all processes of this user on this machine agree through locked files in the temporary folder. A job
    waits while every device is taken.

    Args:
        count: devices that this process sees, numbered from 0; `CUDA_VISIBLE_DEVICES` says which they are.

    Raises:
        JobError: the folder of the locks belongs to somebody else, or its file system has no locks.
    """
    names, waited = device_names(count), False
    while True:
        for index, name in enumerate(names):
            handle = _locked(_folder() / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.lock")
            if handle is None:
                continue
            try:
                yield index
            finally:
                os.close(handle)
            return
        if not waited:
            say("evo-qnas: every GPU is at work for another job: this one waits", error=True)
            waited = True
        time.sleep(_POLL_SECONDS)


def device_names(count: int) -> tuple[str, ...]:
    """Names on the whole machine of the devices `0 .. count - 1` of this process."""
    visible = [part.strip() for part in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if part.strip()]
    return tuple(visible[index] if index < len(visible) else str(index) for index in range(count))


def _folder() -> Path:
    """The folder of this user's locks."""
    user = os.getuid() if sys.platform != "win32" else os.environ.get("USERNAME", "")
    folder = Path(tempfile.gettempdir()) / f"evo_qnas-devices-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if sys.platform != "win32":
        _check_owner(folder)
    return folder


def _check_owner(folder: Path) -> None:
    """Refuses a folder that somebody else made in the temporary folder that all users share, or can write to."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise JobError(
            f"{folder} is a link, or another user made it or can write to it: remove it, or set TMPDIR to a folder of "
            "your own"
        )


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock of a file; None where another one does."""
    try:
        return _try_lock(path)
    except OSError as error:
        raise JobError(f"{path} cannot be locked ({error.strerror}): set TMPDIR to a folder on a local disk") from error


def _try_lock(path: Path) -> int | None:
    """`_locked`, with the errors of the file system."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
