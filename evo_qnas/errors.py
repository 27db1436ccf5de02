"""All errors of evo_qnas: one tree under `EvoQnasError`, each also the builtin a caller would expect."""

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
    """

    losses: Mapping[str, float] = MappingProxyType({})


class DataError(EvoQnasError, ValueError):
    """Images or labels that are missing or malformed."""


class JobError(EvoQnasError, RuntimeError):
    """A cluster that cannot be used, or a job whose worker died every time."""


class PictureError(EvoQnasError, ValueError):
    """A picture or page that cannot be made of what is there."""


class PluginError(EvoQnasError, ImportError):
    """An entry that another package registers and that cannot be used."""
