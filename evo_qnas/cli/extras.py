"""Packages that a verb needs and that a plain installation lacks."""

from collections.abc import Iterator
from contextlib import contextmanager

from evo_qnas.errors import CardError


@contextmanager
def needs_extra(who: str, extra: str) -> Iterator[None]:
    """A block of imports in which a missing package of others becomes one sentence.

    Args:
        who: subject of the sentence.
        extra: of evo-qnas, as for pip; several with commas.

    Raises:
        CardError: a package that is not evo_qnas's own is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("evo_qnas"):
            raise
        raise CardError(f"{who} needs {error.name}, which is not installed: pip install 'evo-qnas[{extra}]'") from error
