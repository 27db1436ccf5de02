"""The content of a page as plain JSON values: networks of the front, baselines, history, validated networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from evo_qnas.archive import Archive
from evo_qnas.pareto import hypervolume_share
from evo_qnas.plots import Subject
from evo_qnas.plots.blocks import operators_by_weight
from evo_qnas.plots.canvas import Axis, baseline_marker, thin
from evo_qnas.plots.convergence import exact_volume
from evo_qnas.plots.measured import errors_of
from evo_qnas.plots.subject import rows_of
from evo_qnas.problem import ObjectiveInfo
from evo_qnas.report.operators import explain
from evo_qnas.report.verdict import export_command
from evo_qnas.summary import RunSummary, ValidatedNetwork, significant
from evo_qnas.summary.best import lead_of, lead_text
from evo_qnas.summary.health import judge

# Points that a page holds. Chosen, not measured.
MOST_NETWORKS = 3000
_MOST_EVALUATED = 1500
_MOST_EXACT = 2000
# Markers of the pictures, as the page's charts call them.
_SYMBOLS = {"s": "square", "D": "diamond", "^": "triangle-up", "v": "triangle-down", "P": "cross", "X": "x"}


def archive_content(subject: Subject) -> dict[str, Any]:
    """The data of the page's script; numbers that are none are null, values are in the archive's own units.

    At most 3,000 networks of a front are shown: those with an extreme value, the knee, the validated ones, and others
    evenly spread along the first objective.
    """
    archive = subject.archive
    knee = _knee(archive)
    shown = shown_rows(subject, [knee] if knee is not None else [])
    true = subject.exact()
    ids = archive.front.ids
    columns = _columns(subject, shown)
    operators = [] if archive.tables is None else operators_by_weight(archive.tables)
    return {
        "name": subject.name,
        "total": len(archive.front),
        "knee": None if knee is None else int(np.searchsorted(shown, knee)),
        "objectives": len(archive.header.objectives),
        "columns": columns,
        "row": shown.tolist(),
        "id": [ids[row] for row in shown.tolist()],
        "evaluation": archive.front.rows[shown].tolist(),
        "genome": archive.front.genomes[shown].tolist(),
        "blocks": list(archive.header.blocks),
        "choices": _choices(archive),
        "operators": operators,
        "about": explain(operators),
        "ids": _ids(subject, shown),
        "baselines": _baselines(subject),
        "evaluated": _evaluated(archive),
        "exact": None if true is None else true[thin(len(true), _MOST_EXACT)].T.tolist(),
        "exact_points": None if true is None else len(true),
        "history": _history(subject),
        "validation": _validation(subject, columns),
    }


def _knee(archive: Archive) -> int | None:
    """The row of the front where giving up one objective starts to buy little of the others."""
    if not len(archive.front):
        return None
    return int(np.flatnonzero(archive.front.rows == archive.knee().rows[0])[0])


def shown_rows(subject: Subject, rows: Sequence[int] = ()) -> Int[np.ndarray, " n"]:
    """Rows of the front that the page shows, rising; `rows` are among them."""
    front = subject.archive.front
    if len(front) <= MOST_NETWORKS:
        return np.arange(len(front))
    kept = [*rows, *front.objectives.argmin(axis=0), *front.objectives.argmax(axis=0)]
    for genome in subject.validated_genomes().values():
        kept += rows_of(front.genomes, genome).tolist()
    spread = thin(len(front), MOST_NETWORKS - len(kept))
    return np.unique(np.concatenate([np.array(kept, dtype=np.int64), spread]))


def numbers(values: Float[np.ndarray, "..."]) -> Any:
    """Nested lists; NaN and infinity as None.

    Example:
        >>> numbers(np.array([1.0, np.nan]))
        [1.0, None]
    """
    if values.ndim == 1:
        return [value if np.isfinite(value) else None for value in values.tolist()]
    return [numbers(row) for row in values]


def _columns(subject: Subject, shown: Int[np.ndarray, " n"]) -> list[dict[str, Any]]:
    """The objectives, then the other columns of the tables."""
    archive = subject.archive
    front = archive.front
    columns = [_column(info, front.objectives[shown, index]) for index, info in enumerate(archive.header.objectives)]
    known = {info.name for info in archive.header.objectives}
    tables = archive.tables
    for name, column in {} if tables is None else tables.columns.items():
        if name not in known and tables is not None:
            info = ObjectiveInfo(name=name, unit=column.unit, maximize=column.direction == "maximize")
            columns.append(_column(info, tables.total(name, front.genomes[shown])))
    return columns


def _column(info: ObjectiveInfo, values: Float[np.ndarray, " n"]) -> dict[str, Any]:
    """One column: how it is written and its values."""
    axis = Axis.of(info, values)
    return {
        "name": info.name,
        "label": axis.label.rpartition(" (")[0].replace(r"\$", "$"),
        "divisor": axis.divisor,
        "maximize": info.maximize,
        "values": numbers(values),
    }


def _choices(archive: Archive) -> list[list[list[Any]]] | None:
    """Per block and choice (operator, weight bits, activation bits); None where there are no tables."""
    if archive.tables is None:
        return None
    return [[list(label) for label in block.labels] for block in archive.tables.blocks]


def _ids(subject: Subject, shown: Int[np.ndarray, " n"]) -> dict[str, str]:
    """Ids of validated networks by their position among the shown ones."""
    genomes = subject.archive.front.genomes[shown]
    validated = subject.validated_genomes()
    return {str(row): name for name, genome in validated.items() for row in rows_of(genomes, genome).tolist()}


def _baselines(subject: Subject) -> list[dict[str, Any]]:
    """Named genomes with their values in the order of the columns; the INT8 teacher, if any, comes first."""
    tables = subject.archive.tables
    if tables is None:
        return []
    known = {info.name for info in subject.archive.header.objectives}
    baselines = []
    for name in sorted(subject.baselines, key=lambda name: (name != "teacher_int8", name)):
        values = subject.baselines[name]
        genome = np.array([tables.baselines[name]])
        others = [float(tables.total(column, genome)[0]) for column in tables.columns if column not in known]
        symbol = _SYMBOLS[baseline_marker(name, subject.baselines)]
        baselines.append(
            {
                "name": name,
                "symbol": symbol,
                "values": numbers(np.array([*values, *others])),
                "genome": genome[0].tolist(),
            }
        )
    return baselines


def _evaluated(archive: Archive) -> list[list[float]]:
    """Per objective the values of other feasible networks, at most 1,500, evenly spread over the search."""
    rows = np.flatnonzero(archive.evaluations.feasible)
    rows = np.setdiff1d(rows, archive.front.rows)
    return [row.tolist() for row in archive.objectives[rows[thin(len(rows), _MOST_EVALUATED)]].T]


def _history(subject: Subject) -> dict[str, Any]:
    """Hypervolume so far, as a share of the exact front's where it is known, else of the final front's."""
    history = subject.archive.history
    exact = exact_volume(subject)
    final = float(history.hypervolume[-1]) if len(history) else 0.0
    whole = final if exact is None else exact
    return {
        "evaluations": history.evaluations.tolist(),
        "share": numbers(np.array([hypervolume_share(value, whole or 1.0) for value in history.hypervolume])),
        "feasible": history.feasible.tolist(),
        "of": "final front" if exact is None else "exact front",
        "reference": history.reference,
    }


def _validation(subject: Subject, columns: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Networks that a run trained and measured; None where there are none."""
    summary = subject.summary
    if summary is None or not summary.get("networks"):
        return None
    run = RunSummary.model_validate(summary)
    metric = run.metric
    errors, kind = errors_of(summary["networks"])
    bars: list[float | None] = [None] * len(run.networks) if errors is None else numbers(errors)
    int8 = run.teacher_int8
    return {
        "best": (run.verdict or judge(run)).network,
        "metric": metric.name,
        "label": metric.label(metric.name),
        "unit": metric.unit,
        "factor": metric.factor,
        "format": metric.spec,
        "error": f"± standard error{kind}" if errors is not None else "",
        "networks": [
            _network(network, bar, run, subject.folder, columns, fits=_fits(subject.archive, network.genome))
            for network, bar in zip(run.networks, bars, strict=True)
        ],
        "int8": None if int8 is None else int8.to_dict() | {"after": int8.metric},
        "float": run.teacher_float.metric,
        "random": subject.random.T.tolist(),
    }


def _fits(archive: Archive, genome: Sequence[int]) -> bool:
    """True where a genome is one of the archive's space, as far as that is known."""
    tables = archive.tables
    known = len(genome) == len(archive.header.blocks)
    return known and (tables is None or bool((np.array(genome) < tables.choices).all()))


def _network(
    network: ValidatedNetwork,
    error: float | None,
    run: RunSummary,
    folder: Path | None,
    columns: Sequence[Mapping[str, Any]],
    *,
    fits: bool,
) -> dict[str, Any]:
    """The values of a validated network that the page draws, and those that it writes; no genome of another space."""
    lead = lead_of(network, run)
    return {
        "id": network.id,
        "genome": list(network.genome) if fits else [],
        "values": [network.predicted.get(column["name"]) for column in columns],
        "score": network.predicted.get("score"),
        "size_bytes": network.size_bytes,
        "latency_ms": network.latency_ms,
        "before": network.metric_before_finetune,
        "after": network.metric,
        "stderr": network.metric_stderr,
        "error": error,
        "facts": [
            [f"test {run.metric.name}", run.metric.format(network.metric, network.metric_stderr)],
            *([] if lead is None else [["difference", lead_text(lead, run)]]),
            ["size as packed", f"{network.size_bytes:,} bytes"],
            *([] if network.latency_ms is None else [["latency, measured", f"{significant(network.latency_ms)} ms"]]),
            ["standing", network.standing],
        ],
        "files": f"networks/{network.id}/",
        "command": export_command(run, folder, network.id),
    }
