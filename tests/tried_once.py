"""The dry run of a card with a memory: tests that run the same card try its networks once.

A dry run takes half of the processor time of a small run. Its report is known by the fingerprint by which a run folder
keeps it in `check.json`, and by the operator cards, whose files tests write anew. Tests of the dry run do without.
"""

from collections.abc import Iterator
from typing import Any

import pytest

__all__ = ["tried_anew", "tried_once"]


class TriedOnce:
    """Stands for the making of a report; what is refused is made again."""

    def __init__(self, made: Any) -> None:
        self.made = made
        self._reports: dict[tuple[str, str], Any] = {}

    def __call__(self, context: Any) -> Any:
        operators = context.card.model_dump_json(include={"operators", "task", "seed"})
        key = (context.dry_run_fingerprint, operators)
        if key not in self._reports:
            self._reports[key] = self.made(context)
        return self._reports[key]


@pytest.fixture(scope="session", autouse=True)
def tried_once() -> Iterator[None]:
    """For all tests of a folder whose conftest names it."""
    from evo_qnas.pipeline import dry_run

    if isinstance(dry_run._made, TriedOnce):  # by another folder
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dry_run, "_made", TriedOnce(dry_run._made))
        yield


@pytest.fixture
def tried_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dry run itself, for a test of it."""
    from evo_qnas.pipeline import dry_run

    if isinstance(dry_run._made, TriedOnce):
        monkeypatch.setattr(dry_run, "_made", dry_run._made.made)
