"""Packages that a runtime needs, and the sentence where they are missing."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from evo_qnas.errors import NetworkError


def missing_of(packages: Sequence[str]) -> tuple[str, ...]:
    """The packages, named as for pip, of which neither a module of that name nor the package itself is installed."""
    return tuple(name for name in packages if find_spec(name.replace("-", "_")) is None and not _is_installed(name))


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


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
