"""The files of a comparison's results folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.compare.comparison import Comparison
from evo_qnas.compare.runtimes import runtimes
from evo_qnas.compare.statistics import Ranks
from evo_qnas.compare.summary import conclusions, summary_text
from evo_qnas.files import replacing, write_text
from evo_qnas.frames import DataFrame, data_frame
from evo_qnas.spreadsheets import frame_csv


def save_comparison(comparison: Comparison, folder: str | Path) -> None:
    """Writes `results.csv`, `medians.csv`, `statistics.csv`, `runtimes.csv`, `ranks.csv`, `summary.txt`,
    `comparison.json` and the reference fronts, each in one step.
    """
    target = Path(folder)
    ranks = comparison.ranks()
    names = [entry.name for entry in comparison.entries]
    frames = {
        "results": comparison.to_dataframe(),
        "medians": comparison.medians(),
        "statistics": comparison.statistics(),
        "runtimes": runtimes(comparison),
        "ranks": data_frame({"algorithm": names, "average_rank": ranks.mean}).sort_values("average_rank"),
    }
    for name, frame in frames.items():
        _write_csv(frame, target / f"{name}.csv")
    for case in comparison.cases:
        columns = [info.name for info in case.problem.objectives]
        signs = np.array([-1.0 if info.maximize else 1.0 for info in case.problem.objectives])
        points = comparison.references[case.name].points * signs
        _write_csv(data_frame(points, columns=columns), target / "fronts" / f"{case.name}.csv")
    write_text(target / "summary.txt", summary_text(comparison) + "\n")
    write_text(target / "comparison.json", json.dumps(_document(comparison, frames, ranks), indent=1, allow_nan=False))


def _document(comparison: Comparison, frames: Mapping[str, DataFrame], ranks: Ranks) -> dict[str, Any]:
    """The content of a report page, as plain JSON values; numbers that are none are null."""
    return {
        "format": "evo_qnas comparison",
        "settings": {
            "problems": [
                {"name": case.name, "about": case.about, "budget": comparison.budget(case.name)}
                for case in comparison.cases
            ],
            "algorithms": [{"name": entry.name, "is": entry.text} for entry in comparison.entries],
            "seeds": list(comparison.seeds),
            "evaluations": comparison.evaluations,
            "against": comparison.against,
            "seeding": comparison.seeding,
            "baseline": None if comparison.baseline is None else comparison.baseline.name,
            "command": comparison.command,
            "skipped": dict(comparison.skipped),
        },
        "references": {name: reference.text for name, reference in comparison.references.items()},
        "tables": {name: _records(frame) for name, frame in frames.items()},
        "curves": [
            _curve(comparison, case.name, entry.name) for case in comparison.cases for entry in comparison.entries
        ],
        "ranks": {
            "critical_difference": _plain(ranks.critical),
            "friedman_p": _plain(ranks.p),
            "problems": ranks.problems,
        },
        "conclusions": conclusions(comparison),
    }


def _curve(comparison: Comparison, case: str, entry: str) -> dict[str, Any]:
    """Quartiles of the hypervolume share over the seeds, after equal parts of the budget."""
    ends, shares = comparison.curves(case, entry)
    quartiles = np.percentile(shares, [25, 50, 75], axis=0) if len(shares) else np.full((3, len(ends)), np.nan)
    names = ("lower_quartile", "median", "upper_quartile")
    lines = {name: [_plain(v) for v in row.round(6)] for name, row in zip(names, quartiles, strict=True)}
    return {"problem": case, "algorithm": entry, "evaluations": list(ends), **lines}


def _write_csv(frame: DataFrame, path: Path) -> None:
    with replacing(path, sync=False) as aside:
        aside.write_text(frame_csv(frame), encoding="utf-8", newline="")


def _records(frame: DataFrame) -> list[dict[str, Any]]:
    return [{str(key): _plain(value) for key, value in row.items()} for row in frame.to_dict(orient="records")]


def _plain(value: Any) -> Any:
    """As JSON takes it: numpy numbers as Python's, NaN and infinity as null."""
    if value is None or isinstance(value, str | bool):
        return value
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not np.isfinite(number) else number
