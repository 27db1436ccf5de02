"""The parts that all pictures share: canvas, colours, axis labels, files."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import Float

from evo_qnas.errors import FileError, PictureError
from evo_qnas.files import replacing
from evo_qnas.problem import ObjectiveInfo
from evo_qnas.tables.units import BYTES

# Okabe & Ito 2008: distinct to colour-blind readers, and by lightness and marker in grey.
BLUE, ORANGE, GREEN, GREY, SKY, BLACK = "#0072B2", "#D55E00", "#009E73", "#6B6B6B", "#56B4E9", "#1A1A1A"
FORMATS = ("png", "svg", "pdf")
# Of baselines, in every picture and page; others than these two teachers take the rest in alphabetical order.
_TEACHERS = {"teacher_int8": "s", "teacher_int4": "D"}
_OTHERS = ("^", "v", "P", "X")
# Points of a line beyond which no eye sees more.
_MANY = 3000
KIB = 1024.0


@final
@dataclass(frozen=True, kw_only=True)
class Axis:
    """An objective or column in words: its label, and the divisor of its values.

    Attributes:
        label: name and unit.
        divisor: 1, or 1024 and its square for bytes, a thousand's power for large counts.
    """

    label: str
    divisor: float = 1.0

    @classmethod
    def of(cls, info: ObjectiveInfo, values: Float[np.ndarray, " n"]) -> "Axis":
        """The axis of an objective whose values are `values`.

        Example:
            >>> Axis.of(ObjectiveInfo(name="size_bytes", unit="B"), np.array([30000.0]))
            Axis(label='size, KiB (less is better)', divisor=1024.0)
        """
        words = "more is better" if info.maximize else "less is better"
        finite = np.abs(values[np.isfinite(values)])
        top = float(finite.max()) if len(finite) else 0.0
        divisor, unit = _scale(info.unit, top)
        name = plain(info.name.removesuffix("_bytes").removesuffix(f"_{info.unit}").replace("_", " "))
        return cls(label=f"{name}{', ' + plain(unit) if unit else ''} ({words})", divisor=divisor)


def _scale(unit: str, top: float) -> tuple[float, str]:
    """The divisor and the unit after it."""
    if unit in BYTES:
        for power, name in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
            if top >= 2 * 1024**power:
                return 1024.0**power, name
        return 1.0, BYTES[0]
    shown = "" if unit == "1" else unit
    for divisor, word in ((1e9, "billions"), (1e6, "millions")):
        if top >= 2 * divisor:
            return divisor, f"{word} of {shown}" if shown else word
    return 1.0, shown


def baseline_marker(name: str, names: Iterable[str] = ()) -> str:
    """The marker of a baseline, the same in all pictures.

    Args:
        name: of the baseline.
        names: of all baselines.

    Example:
        >>> [baseline_marker(name, ["b", "teacher_int8", "a"]) for name in ("teacher_int8", "teacher_int4", "a", "b")]
        ['s', 'D', '^', 'v']
    """
    if name in _TEACHERS:
        return _TEACHERS[name]
    others = sorted(set(names) - set(_TEACHERS) | {name})
    return _OTHERS[others.index(name) % len(_OTHERS)]


def baseline_name(name: str) -> str:
    """The name of a baseline as pictures write it.

    Example:
        >>> baseline_name("teacher_int8"), baseline_name("my_point")
        ('teacher INT8', 'my point')
    """
    words = plain(name.replace("_", " "))
    return words.replace("teacher int", "teacher INT") if name in _TEACHERS else words


def plain(text: str) -> str:
    r"""Text as matplotlib draws it: no mathematics, no line breaks, not endless.

    Example:
        >>> plain("a$x$")
        'a\\$x\\$'
    """
    short = text if len(text) <= 60 else text[:57] + "..."
    # Names of files may hold bytes that are no UTF-8.
    short = short.encode("utf-8", "replace").decode()
    return short.replace("\\", "/").replace("$", r"\$").replace("\n", " ")


def new_figure(width: float, height: float, title: str) -> Any:
    """A figure on the Agg canvas, no window and no global state; inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    return figure


def tidy(panel: Any) -> None:
    """Light grid, no box."""
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def save(figure: Any, path: Path) -> None:
    """Writes the figure in one step, in the format of the path's ending; equal figures give equal files.

    Raises:
        PictureError: the ending is none of `FORMATS`, or the file cannot be written.
    """
    import matplotlib as mpl

    kind = check_format(path)
    dates = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    try:
        with mpl.rc_context({"svg.hashsalt": "evo_qnas", "pdf.fonttype": 42}), replacing(path) as aside:
            figure.savefig(aside, dpi=150, format=kind, metadata=dates)
    except FileError as error:
        raise PictureError(str(error)) from error


def check_format(path: Path) -> str:
    """The format that a path's ending names.

    Raises:
        PictureError: it names none of `FORMATS`.
    """
    kind = path.suffix[1:].lower()
    if kind not in FORMATS:
        raise PictureError(
            f"{path}: a picture's name ends with .png, .svg or .pdf, not with {path.suffix or 'nothing'}"
        )
    return kind


def thin(count: int, most: int = _MANY) -> np.ndarray:
    """At most `most` of `count` positions, evenly spread, both ends kept.

    Example:
        >>> thin(5, 3).tolist()
        [0, 2, 4]
    """
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))
