"""Validated networks against each other: which are dominated after all, and which cannot be told apart."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from evo_qnas.archive import Archive, Validated
from evo_qnas.networks.tasks.base import TASKS, Outcomes
from evo_qnas.pareto import nondominated

Difference = Callable[[Outcomes, Outcomes], tuple[float, float]]

_NORMAL = 1.96
_AFTER = ("metric", "metric_search_split", "metric_stderr", "size_bytes", "round")


def rerank(
    entries: Sequence[dict[str, Any]],
    *,
    task: str,
    baseline: str | None = None,
    outcomes: Mapping[str, Outcomes] | None = None,
    seed: int = 0,
) -> None:
    """Adds to each entry of `summary.json` `metric_stderr`, `dominated_by`, `tied_with` and `minus_teacher_int8`.

    A network is dominated where another one is no larger and at least as good in the metric, and better in one of
    the two. Two networks are tied where their metrics differ by less than 1.96 standard errors of the difference,
    paired by image where the outcomes of both are there, else taken as independent, which says ties too often.
    `tied_with` names those of the networks that are not dominated. `minus_teacher_int8` is what a network's metric has
    more than the baseline's, with the paired standard error or null.

    Args:
        entries: of validated networks, with their `metric_stderr` where it is known.
        task: as in the card; gives the errors of differences.
        baseline: id of the INT8 teacher's entry.
        outcomes: by id, by `Task.outcomes`, all of the same images.
        seed: of the resamples.
    """
    known = {} if outcomes is None else outcomes
    difference = partial(TASKS.get(task).difference, seed=seed)
    for entry in entries:
        entry.setdefault("metric_stderr", None)
    if not entries:
        return
    points = np.array([[1.0 - entry["metric"], entry["size_bytes"]] for entry in entries], dtype=np.float64)
    front = nondominated(points)
    for index, entry in enumerate(entries):
        below = (points <= points[index]).all(axis=1) & front & (points < points[index]).any(axis=1)
        rows = np.flatnonzero(below)
        best = rows[np.argsort(points[rows, 0], kind="stable")] if len(rows) else rows
        entry["dominated_by"] = None if not len(best) else entries[int(best[0])]["id"]
        entry["tied_with"] = [
            other["id"]
            for other, kept in zip(entries, front, strict=True)
            if kept and other is not entry and _tied(entry, other, _paired(entry, other, known, difference))
        ]
    whole = next((entry for entry in entries if entry["id"] == baseline), None)
    for entry in entries:
        entry["minus_teacher_int8"] = (
            None
            if whole is None or entry is whole
            else {"metric": entry["metric"] - whole["metric"], "stderr": _paired(entry, whole, known, difference)}
        )


def keep_validated(archive: Archive, entries: Sequence[dict[str, Any]]) -> Archive:
    """The archive with all measured networks in its validated table; its file is left alone where they are there."""
    networks = tuple(
        Validated(
            id=entry["id"],
            genome=tuple(entry["genome"]),
            before={"metric": float(entry["metric_before_finetune"])},
            after={name: float(entry[name]) for name in _AFTER if entry.get(name) is not None},
            files={"weights": f"networks/{entry['id']}/weights.safetensors"},
        )
        for entry in entries
    )
    known = {network.id: network for network in archive.validated}
    same = all(
        network.id in known
        and known[network.id].genome == network.genome
        and dict(known[network.id].after) == dict(network.after)
        for network in networks
    )
    return archive if same else archive.add_validation(*networks)


def _paired(
    one: dict[str, Any], other: dict[str, Any], known: Mapping[str, Outcomes], difference: Difference
) -> float | None:
    """Standard error of the difference of two metrics on the same images, None without the outcomes of both."""
    if one["id"] not in known or other["id"] not in known:
        return None
    return difference(known[one["id"]], known[other["id"]])[1]


def _tied(one: dict[str, Any], other: dict[str, Any], spread: float | None) -> bool:
    """Whether two metrics cannot be told apart; not so where a standard error is unknown."""
    if spread is None:
        if one["metric_stderr"] is None or other["metric_stderr"] is None:
            return False
        spread = float(np.hypot(one["metric_stderr"], other["metric_stderr"]))
    return bool(abs(one["metric"] - other["metric"]) < _NORMAL * spread)
