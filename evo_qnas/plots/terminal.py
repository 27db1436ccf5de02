"""The front and the course of a search as text, for terminals."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from evo_qnas.archive import Archive

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def front_text(archive: Archive, *, width: int = 60, height: int = 14) -> str:
    """The front in its first two objectives, the second upwards; of one objective its best value.

    Args:
        archive: finished or running.
        width: columns of the picture.
        height: its lines.
    """
    front, infos = archive.front, archive.header.objectives
    if not len(front):
        return "no network met every limit yet"
    if len(infos) == 1:
        return f"best {infos[0].name}: {front.objectives[0, 0]:.6g}"
    x, y = front.objectives[:, 0], front.objectives[:, 1]
    lines = picture(x, y, width=width, height=height)
    foot = f"{x.min():.4g}".ljust(width - 10) + f"{x.max():.4g}".rjust(10)
    return "\n".join([f"{infos[1].name}, {y.min():.4g} to {y.max():.4g}", *lines, foot, infos[0].name.rjust(width)])


def convergence_text(archive: Archive, *, width: int = 60, height: int = 6) -> str:
    """Hypervolume against evaluations, as a share of the largest so far."""
    history = archive.history
    top = float(history.hypervolume.max(initial=0.0))
    if top <= 0:
        return "no hypervolume yet"
    lines = picture(history.evaluations.astype(np.float64), history.hypervolume / top, width=width, height=height)
    foot = f"{int(history.evaluations[0]):,}".ljust(width - 12) + f"{int(history.evaluations[-1]):,}".rjust(12)
    return "\n".join(["hypervolume, share of the one now", *lines, foot, "evaluations".rjust(width)])


def archive_text(archive: Archive, *, width: int = 60) -> str:
    """How far a search is, its front and its course."""
    header = archive.header
    budget = header.settings.get("evaluations")
    of = f" of {budget:,}" if isinstance(budget, int) else ""
    state = "finished" if archive.finished else "running, or stopped"
    head = f"{len(archive):,}{of} evaluations with {header.algorithm}, {len(archive.front)} on the front ({state})"
    return "\n\n".join([head, front_text(archive, width=width), convergence_text(archive, width=width)])


def picture(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], *, width: int, height: int) -> Sequence[str]:
    """Points in lines of Braille letters, two by four dots each.

    Example:
        >>> picture(np.array([0.0, 1.0]), np.array([0.0, 1.0]), width=2, height=1)
        ['⡀⠈']
    """
    columns, rows = _places(x, 2 * width), 4 * height - 1 - _places(y, 4 * height)
    cells = np.zeros((height, width), dtype=np.int64)
    np.bitwise_or.at(cells, (rows // 4, columns // 2), _DOTS[rows % 4, columns % 2])
    return ["".join(chr(0x2800 + cell) if cell else " " for cell in line) for line in cells.tolist()]


def _places(values: Float[np.ndarray, " n"], size: int) -> np.ndarray:
    """Dots from 0 to size - 1."""
    span = float(np.ptp(values))
    scaled = (values - values.min()) / span if span > 0 else np.zeros(len(values))
    places: np.ndarray = np.rint(scaled * (size - 1)).astype(np.int64)
    return places
