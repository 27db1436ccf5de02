"""`plot`: one picture of an archive or run folder, as a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evo_qnas.archive import Archive
from evo_qnas.errors import PictureError
from evo_qnas.plots.blocks import draw_blocks
from evo_qnas.plots.canvas import check_format, save
from evo_qnas.plots.convergence import draw_convergence
from evo_qnas.plots.front import draw_front
from evo_qnas.plots.gain import draw_gain
from evo_qnas.plots.parallel import draw_parallel
from evo_qnas.plots.subject import Subject, load_subject, subject_of
from evo_qnas.plots.validation import draw_validation

KINDS = {
    "front": "the front in two or three objectives, with baselines and the exact front",
    "parallel": "parallel coordinates, for two and more objectives",
    "blocks": "which operator and bits each block took along the front",
    "gain": "what one more unit of the second objective buys in each block, around one network",
    "convergence": "hypervolume against evaluations",
    "validation": "predicted against validated networks of a run folder",
}


def plot(
    source: str | Path | Archive,
    path: str | Path,
    *,
    kind: str | None = None,
    exact: bool = True,
    at: int | None = None,
) -> str:
    """Draws one picture into a PNG, SVG or PDF file; gives the kind it drew.

    Args:
        source: an archive, its file, or a run folder.
        path: the picture, its ending is the format.
        kind: one of `KINDS`; None takes `front` for two and three objectives, else `parallel` or `convergence`.
        exact: draw the exact front too, where it is known and cheap.
        at: for `gain`, the row of the front to work from; None takes the knee.

    Raises:
        PictureError: the kind or format is unknown, or the archive does not hold what the picture needs.
        ArchiveError: the archive cannot be read.
    """
    target = Path(path)
    check_format(target)
    subject, chosen = _chosen(source, kind)
    save(_draw(chosen, subject, exact=exact, at=at), target)
    return chosen


def figure(source: str | Path | Archive, *, kind: str | None = None, exact: bool = True, at: int | None = None) -> Any:
    """The matplotlib figure that `plot` writes to a file; the arguments are the same.

    Raises:
        PictureError: the kind is unknown, or the archive does not hold what the picture needs.
        ArchiveError: the archive cannot be read.
    """
    subject, chosen = _chosen(source, kind)
    return _draw(chosen, subject, exact=exact, at=at)


def _chosen(source: str | Path | Archive, kind: str | None) -> tuple[Subject, str]:
    """The subject and the kind of its picture."""
    if kind is not None and kind not in KINDS:
        raise PictureError(f"--kind {kind!r}: there are {', '.join(KINDS)}")
    subject = subject_of(source) if isinstance(source, Archive) else load_subject(source)
    return subject, kind or default_kind(subject)


def default_kind(subject: Subject) -> str:
    """The picture that shows the front of an archive."""
    count = len(subject.archive.header.objectives)
    return "convergence" if count == 1 else "front" if count <= 3 else "parallel"


def _draw(kind: str, subject: Subject, *, exact: bool, at: int | None) -> Any:
    """The figure of a kind."""
    drawers: dict[str, Callable[[], Any]] = {
        "front": lambda: draw_front(subject, exact=exact),
        "parallel": lambda: draw_parallel(subject),
        "blocks": lambda: draw_blocks(subject),
        "gain": lambda: draw_gain(subject, at=at),
        "convergence": lambda: draw_convergence(subject, exact=exact),
        "validation": lambda: draw_validation(subject),
    }
    return drawers[kind]()
