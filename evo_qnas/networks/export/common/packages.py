"""Packages that a runtime needs, and the sentence where they are missing."""

from collections.abc import Sequence
from importlib.util import find_spec

from evo_qnas.errors import NetworkError


def missing_of(packages: Sequence[str]) -> tuple[str, ...]:
    """The packages, named as for pip, whose module is not installed."""
    return tuple(name for name in packages if find_spec(name.replace("-", "_")) is None)


def require(who: str, packages: Sequence[str], *, install: str) -> None:
    """Refusal to go on without packages.

    Args:
        who: subject of the sentence.
        packages: named as for pip.
        install: what pip is asked for to get them.

    Raises:
        NetworkError: one is not installed.
    """
    missing = missing_of(packages)
    if missing:
        raise NetworkError(f"{who} needs {' and '.join(missing)}, not installed here: pip install '{install}'")
