"""The lock of a journal, for one writer; on file systems without locks it can be switched off."""

import errno
import os
import sys

from evo_qnas.errors import ArchiveError

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
