"""Everything of a card that can be wrong, found before the first second of training."""

import shutil
import tomllib
from collections.abc import Iterator
from typing import Any

import tomlkit

from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.pipeline.searching import check_search
from evo_qnas.pipeline.workplace import Workplace


def check_card(place: Workplace, *, anew: bool) -> None:
    """Checks data, blocks, operators and search settings, and claims the run folder for this card.

    Raises:
        CardError: a rule is broken, or the folder holds a run of another card and `anew` is not set.
        DataError: the images are missing or malformed.
        NetworkError: the teacher, a block or an operator does not fit.
        ProblemError: an objective or limit names nothing.
    """
    _ = place.teacher_fingerprint
    if not len(place.splits.train):
        raise CardError("the train split is empty: lower data.search_share or data.test_share")
    for shape in place.shapes:
        place.candidates(shape.name)
    check_search(place)
    missing = RUNTIMES.get("onnx").missing()
    if place.card.latency is not None and missing:
        raise CardError(
            f"[latency] of the card needs {' and '.join(missing)}, not installed here: pip install 'evo-qnas[onnx]', "
            "or remove the section"
        )
    _claim(place, anew=anew)


def _claim(place: Workplace, *, anew: bool) -> None:
    """Writes `card.toml`, or holds the card against the one that is there."""
    path = place.folder / "card.toml"
    content = place.card.model_dump(mode="json", exclude_none=True)
    if path.is_file():
        try:
            before = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = {}
        changes = list(_changes(before, content))
        if not changes:
            return
        if not anew:
            shown = "; ".join(changes[:3]) + ("; ..." if len(changes) > 3 else "")
            raise CardError(
                f"{place.folder} holds a run of another card ({shown}): give another folder with -o, "
                "or --anew to make again what depends on it"
            )
        for stale in (
            "archive.h5",
            "archive.h5.journal",
            "summary.json",
            "seconds.json",
            "front.csv",
            "front.png",
            "report.html",
        ):
            (place.folder / stale).unlink(missing_ok=True)
        for archive in place.folder.glob("archive-*.h5*"):
            archive.unlink()
        shutil.rmtree(place.folder / "networks", ignore_errors=True)
    write_text(path, f"# The resolved card of this run: evo-qnas run {place.name}\n{tomlkit.dumps(content)}")


def _changes(before: Any, after: Any, key: str = "") -> Iterator[str]:
    """One text for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from _changes(before.get(name), after.get(name), f"{key}.{name}" if key else name)
    elif before != after:
        yield f"{key} was {before!r}, is {after!r}"
