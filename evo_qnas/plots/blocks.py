"""The block map: which operator and bits each block took along the front."""

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.errors import PictureError
from evo_qnas.plots.canvas import Axis, new_figure, plain, thin
from evo_qnas.plots.front import along, nonempty_front
from evo_qnas.plots.subject import Subject
from evo_qnas.problem import Networks
from evo_qnas.tables import Tables

# Columns that are at least a pixel wide each, and names that fit beside each other.
_MOST_COLUMNS = 400
_MOST_NAMES = 14


def draw_blocks(subject: Subject) -> Any:
    """A figure: networks of the front from left to right, blocks from top to bottom; panels for operator and bits.

    Operators are ordered from light to heavy (mean size over the blocks, or macs), so that the colour says how heavy a
    block's choice is. Panels of which the tables know nothing are left out.

    Raises:
        PictureError: the archive has no tables, or the front is empty.
    """
    tables = subject.tables
    if tables is None:
        raise PictureError(f"{subject.name} holds no tables, so what its blocks became is not known")
    nonempty_front(subject)
    order, objective = along(subject)
    order = order[thin(len(order), _MOST_COLUMNS)]
    networks = Networks(tables=tables, genomes=subject.archive.front.genomes[order])
    names = operators_by_weight(tables)
    codes = {name: index for index, name in enumerate(names)}
    operators = np.vectorize(codes.__getitem__, otypes=[np.int64])(networks.operators)
    panels: list[tuple[str, np.ndarray, list[str]]] = [("operator, light to heavy", operators, names)]
    for what, bits in (("weight bits", networks.weight_bits), ("activation bits", networks.activation_bits)):
        if bits.any():
            there = np.unique(bits)
            panels.append((what, np.searchsorted(there, bits), [str(value) if value else "none" for value in there]))
    height = 1.0 + len(panels) * (0.75 + 0.17 * len(tables.blocks))
    figure = new_figure(8.0, height, f"{plain(subject.name)}: choices of the blocks along the front")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for panel, (title, values, labels) in zip(rows, panels, strict=True):
        _draw_map(figure, panel, values.T, title, labels)
        panel.set_yticks(range(len(tables.blocks)), [plain(name) for name in tables.names], fontsize=7.5)
    _label_networks(rows[-1], subject, order, objective)
    return figure


def operators_by_weight(tables: Tables) -> list[str]:
    """Operator names from light to heavy: mean of the size (else macs, else as named) over blocks and bits.

    Example:
        >>> operators_by_weight(Tables.from_arrays({"size_bytes": [np.array([4.0, 1.0])]}))
        ['choice1', 'choice0']
    """
    column = next((name for name in ("size_bytes", "macs") if name in tables.columns), None)
    sums: dict[str, list[float]] = {}
    for index, block in enumerate(tables.blocks):
        values = np.zeros(len(block)) if column is None else tables.column(column).values[index]
        mean = max(float(np.nanmean(values)), 1e-300) if np.isfinite(values).any() else 1.0
        for operator, value in zip(block.operators, values, strict=True):
            sums.setdefault(operator, []).append(float(value) / mean)
    return sorted(sums, key=lambda name: float(np.mean(sums[name])))


def _draw_map(figure: Any, panel: Any, values: Int[np.ndarray, "blocks n"], title: str, labels: list[str]) -> None:
    """One panel with a colour bar of named steps."""
    from matplotlib import colormaps
    from matplotlib.colors import BoundaryNorm

    count = len(labels)
    edges = np.arange(count + 1) - 0.5
    norm = BoundaryNorm(edges, count)
    colours = colormaps["viridis_r"].resampled(max(count, 2))
    image = panel.imshow(values, aspect="auto", interpolation="nearest", cmap=colours, norm=norm)
    panel.set_title(title, fontsize=9, loc="left")
    # A white line between blocks keeps rows apart where one colour runs on.
    panel.hlines(np.arange(1, len(values)) - 0.5, -0.5, values.shape[1] - 0.5, color="white", linewidth=0.8)
    panel.spines[:].set_visible(False)
    step = -(-count // _MOST_NAMES)
    ticks = list(range(0, count, step))
    bar = figure.colorbar(image, ax=panel, ticks=ticks, aspect=12, pad=0.01)
    bar.ax.set_yticklabels([plain(labels[tick]) for tick in ticks], fontsize=7.5)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)


def _label_networks(panel: Any, subject: Subject, order: Int[np.ndarray, " n"], objective: str) -> None:
    """The values of the objective that the networks are ordered by."""
    info = next(info for info in subject.archive.header.objectives if info.name == objective)
    column = subject.archive.header.objectives.index(info)
    values: Float[np.ndarray, " n"] = subject.archive.front.objectives[order, column]
    axis = Axis.of(info, values)
    ticks = thin(len(order), 8)
    panel.set_xticks(ticks, [f"{values[tick] / axis.divisor:.4g}" for tick in ticks])
    panel.set_xlabel(f"networks of the front by {axis.label}")
