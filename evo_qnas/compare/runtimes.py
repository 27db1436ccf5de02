"""Empirical distributions of target runtimes, and comparisons for IOHanalyzer."""

import json
import re
from pathlib import Path

import numpy as np
from jaxtyping import Float

from evo_qnas.compare.comparison import Comparison
from evo_qnas.compare.indicators import checkpoints, share_after
from evo_qnas.files import write_text
from evo_qnas.frames import DataFrame, data_frame

# Missing shares of the reference's hypervolume from all of it to a ten-thousandth, evenly on a logarithmic scale, as
# COCO spreads its targets.
TARGET_GAPS = np.logspace(0, -4, 41)
_VERSION = "0.3.5"


def runtimes(comparison: Comparison, case: str | None = None) -> DataFrame:
    """The empirical distribution of target runtimes: one row per algorithm and part of the budget.

    Columns: `algorithm`, `budget_share` (0..1], `evaluations` (of one problem), and `solved`, the share of all targets,
    of all runs on all problems, that are reached by then. Targets are shares of the reference's hypervolume whose
    missing part goes from 1 to 0.0001 in 41 steps, evenly on a logarithmic scale.

    Args:
        comparison: with results.
        case: one problem; None joins all of them.

    Source: Hansen et al. 2021 (COCO); Lopez-Ibanez et al. 2024 for sets of points.
    """
    names = [item.name for item in comparison.cases if case in {None, item.name}]
    rows = []
    for entry in comparison.shown:
        curves = [comparison.curves(name, entry.name)[1] for name in names]
        joined = np.concatenate([curve for curve in curves if len(curve)]) if any(len(c) for c in curves) else None
        if joined is None:
            continue
        solved = solved_targets(joined)
        ends = checkpoints(comparison.budget(names[0]))
        for at, share in enumerate(solved.tolist()):
            rows.append(
                {
                    "algorithm": entry.name,
                    "budget_share": (at + 1) / len(solved),
                    "evaluations": ends[at] if len(names) == 1 else None,
                    "solved": share,
                }
            )
    return data_frame(rows, columns=["algorithm", "budget_share", "evaluations", "solved"])


def solved_targets(curves: Float[np.ndarray, "runs checkpoints"]) -> Float[np.ndarray, " checkpoints"]:
    """(checkpoints,) the share of targets that runs have reached at each checkpoint."""
    best = np.maximum.accumulate(np.nan_to_num(curves), axis=1)
    # A target that is met up to rounding is met.
    reached: np.ndarray = (best[:, :, None] >= 1.0 - TARGET_GAPS - 1e-12).mean(axis=(0, 2))
    return reached


def to_iohanalyzer(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Writes the comparison in the layout that IOHanalyzer reads: a folder for each algorithm; gives these folders.

    Each problem is a function, each seed a run, its value the share of the reference's hypervolume reached so far, to
    be maximised, after the first evaluation and each of 50 equal parts of the budget. Zip a folder, or several, to load
    them. Readers of this layout tell runs apart by their first evaluation.

    Source: Wang et al. 2022 (IOHanalyzer); the JSON layout of IOHexperimenter 0.3.5, read back with iohinspector 0.0.8.
    """
    made = []
    for entry in comparison.shown:
        place = Path(folder) / entry.name
        for number, case in enumerate(comparison.cases, start=1):
            ends, curves = comparison.curves(case.name, entry.name)
            if not len(curves):
                continue
            label = re.sub(r"[^A-Za-z0-9_]+", "_", case.name)
            dimension = len(case.problem.space.blocks)
            data = f"data_f{number}_{label}/IOHprofiler_f{number}_DIM{dimension}.dat"
            results = comparison.of(case.name, entry.name)
            first = [share_after(result.run, comparison.references[case.name], 1) for result in results]
            ends, curves = _from_the_first(ends, curves, np.array(first))
            seeds = [result.run.seed for result in results]
            best = np.maximum.accumulate(np.nan_to_num(curves), axis=1)
            document = {
                "version": _VERSION,
                "suite": "evo_qnas",
                "function_id": number,
                "function_name": label,
                "maximization": True,
                "algorithm": {"name": entry.name, "info": entry.text},
                "attributes": ["evaluations", "raw_y"],
                "scenarios": [
                    {
                        "dimension": dimension,
                        "path": data,
                        "runs": [
                            {
                                "instance": seed + 1,
                                "evals": int(ends[-1]),
                                "best": {"evals": int(ends[int(row.argmax())]), "y": float(row.max()), "x": []},
                            }
                            for seed, row in zip(seeds, best, strict=True)
                        ],
                    }
                ],
            }
            write_text(place / f"IOHprofiler_f{number}_{label}.json", json.dumps(document, indent=1) + "\n")
            lines = []
            for row in best:
                lines.append("evaluations raw_y")
                lines += [f"{end} {value:.12f}" for end, value in zip(ends, row.tolist(), strict=True)]
            write_text(place / data, "\n".join(lines) + "\n")
        made.append(place)
    return made


def _from_the_first(
    ends: tuple[int, ...], curves: Float[np.ndarray, "runs checkpoints"], first: Float[np.ndarray, " runs"]
) -> tuple[tuple[int, ...], Float[np.ndarray, "runs _"]]:
    """Curves that begin at the first evaluation, each number of evaluations once."""
    chosen = [at for at, end in enumerate(ends) if end > max(ends[:at], default=1)]
    return (1, *(ends[at] for at in chosen)), np.column_stack([first, curves[:, chosen]])
