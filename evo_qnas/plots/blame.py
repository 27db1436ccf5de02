"""Which layers are to blame: bars of what floats would gain, part by part."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from evo_qnas.plots.canvas import BLACK, BLUE, GREY, ORANGE, new_figure, plain, save, tidy


@final
@dataclass(frozen=True, kw_only=True)
class Bar:
    """One part of a quantized network.

    Attributes:
        label: its layer and bits.
        kind: `weights` or `activations`.
        gain: share of the whole noise that would be gone with this part in floats; below 0 where there would be more.
        alone: noise that its rounding alone makes, as a share of the whole noise.
    """

    label: str
    kind: str
    gain: float
    alone: float


def draw_blame(bars: Sequence[Bar], *, title: str) -> Any:
    """A figure: a bar for each part, the first at the top, and a mark for what its rounding does alone.

    Args:
        bars: in the order in which they are drawn.
        title: above the panel.
    """
    figure = new_figure(8.5, 1.6 + 0.28 * len(bars), plain(title))
    panel = figure.subplots()
    places = np.arange(len(bars))
    for kind, colour, hatch in (("weights", BLUE, ""), ("activations", ORANGE, "//")):
        chosen = [index for index, bar in enumerate(bars) if bar.kind == kind]
        if chosen:
            widths = [100 * bars[index].gain for index in chosen]
            label = f"gone with these {kind} in floats"
            panel.barh(places[chosen], widths, height=0.62, color=colour, hatch=hatch, edgecolor="white", label=label)
    alone = [100 * bar.alone for bar in bars]
    panel.scatter(
        alone, places, marker="|", s=90, linewidths=2, color=BLACK, label="made by this rounding alone", zorder=3
    )
    panel.set_yticks(places, [plain(bar.label) for bar in bars], fontsize=8)
    panel.invert_yaxis()
    panel.axvline(0, color=GREY, linewidth=0.8)
    panel.set_xlabel("share of the noise at the outputs, %")
    panel.legend(fontsize=8, loc="lower right", frameon=False)
    tidy(panel)
    return figure


def save_blame(bars: Sequence[Bar], path: Path, *, title: str) -> None:
    """Writes the figure of `draw_blame`.

    Raises:
        PictureError: the ending is none of .png, .svg and .pdf, or the file cannot be written.
    """
    save(draw_blame(bars, title=title), path)
