"""All errors of evo_qnas: one tree under `EvoQnasError`, each also the builtin a caller would expect."""

import errno
from collections.abc import Mapping
from types import MappingProxyType


class EvoQnasError(Exception):
    """Base of every error that evo_qnas raises on purpose; the command line prints it as one sentence."""


class CardError(EvoQnasError, ValueError):
    """A problem, operator or variation card that breaks a rule."""


class TableError(EvoQnasError, ValueError):
    """Tables (in memory, HDF5 or CSV) that break a rule."""


class ProblemError(EvoQnasError, ValueError):
    """Objectives, limits, ties or pins that do not fit the tables, or each other."""


class InfeasibleError(ProblemError):
    """Limits that no network can meet, known before any search."""


class EvaluationError(EvoQnasError, RuntimeError):
    """A user's objective or problem returned something that is no evaluation."""


class ArchiveError(EvoQnasError, ValueError):
    """An archive file that cannot be opened, continued or written."""


class SearchError(EvoQnasError, ValueError):
    """Search settings that do not fit the problem or each other."""


class PredictorError(EvoQnasError, ValueError):
    """A predictor that does not exist, or measured networks that it cannot be fitted to."""


class NetworkError(EvoQnasError, ValueError):
    """A teacher, block, operator or quantized network that does not fit."""


class DivergenceError(NetworkError):
    """Training whose loss, or what it leaves, is no number.

    Attributes:
        losses: by name of what trained beside it and ended well.
        diverged: by name of what did not, in words.
    """

    losses: Mapping[str, float] = MappingProxyType({})
    diverged: Mapping[str, str] = MappingProxyType({})


class DataError(EvoQnasError, ValueError):
    """Images or labels that are missing or malformed."""


class JobError(EvoQnasError, RuntimeError):
    """A cluster that cannot be used, or a job whose worker died every time."""


class PictureError(EvoQnasError, ValueError):
    """A picture or page that cannot be made of what is there."""


class PluginError(EvoQnasError, ImportError):
    """An entry that another package registers and that cannot be used."""


_WAYS = {
    errno.ENOSPC: "make room, then run the same command again",
    errno.EDQUOT: "make room within your quota, then run the same command again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), then run the same command again",
    errno.EROFS: "choose a path on a file system that can be written to",
    errno.EACCES: "give permission, or choose another path",
    errno.EPERM: "give permission, or choose another path",
    errno.ENOENT: "choose another path",
    errno.EEXIST: "a part of the path is a file where a folder is needed: choose another path",
    errno.ENOTDIR: "a part of the path is a file where a folder is needed: choose another path",
    errno.EISDIR: "give the path of a file",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "its links lead round in a circle: choose another path",
    errno.EILSEQ: "use names that are UTF-8",
    errno.EMFILE: "raise the limit on open files (ulimit -n), then run the same command again",
    errno.ENFILE: "close other programs, then run the same command again",
    errno.EIO: "check the disk or the connection to it, then run the same command again",
    errno.ESTALE: "check the connection to the network file system, then run the same command again",
}


def way_out(error: OSError) -> str:
    """Advice that fits the number of an error of the disk or of a path; an empty text where there is none."""
    return "" if error.errno is None else _WAYS.get(error.errno, "check the disk and the path")


def sentence(error: OSError) -> str:
    """An error of the disk or of a path for people: the file, the cause, the way out.

    Example:
        >>> sentence(OSError(28, "No space left on device", "a.csv"))
        'a.csv: No space left on device; make room, then run the same command again'
    """
    cause = error.strerror or str(error) or type(error).__name__
    name = "" if error.filename is None or isinstance(error.filename, int) else f"{error.filename}: "
    return f"{name}{'; '.join(part for part in (cause, way_out(error)) if part)}"


class FileError(EvoQnasError, OSError):
    """A file that cannot be written: no room, no permission, no such folder, or a device or folder in its path."""

    def __str__(self) -> str:
        """The file, the cause and the way out."""
        return sentence(self).replace(f"{self.filename}: ", f"{self.filename} cannot be written: ", 1)
