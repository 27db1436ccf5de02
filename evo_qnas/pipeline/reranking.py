"""Validated networks against each other: which are dominated after all, and which cannot be told apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evo_qnas.archive import Archive, Validated
from evo_qnas.pareto import nondominated

_NORMAL = 1.96
_AFTER = ("metric", "metric_search_split", "metric_stderr", "size_bytes", "round")


def rerank(entries: Sequence[dict[str, Any]], *, images: int, task: str) -> None:
    """Adds to each entry of `summary.json` `metric_stderr`, `dominated_by` and `tied_with`.

    A network is dominated where another one is no larger and at least as good in the metric, and better in one of
    the two. Two networks are tied where their metrics differ by less than 1.96 standard errors of the difference, taken
    as independent: networks tested on the same images differ by less than that by chance, so that ties are said rather
    too often. `tied_with` names those of the networks that are not dominated.

    Args:
        entries: of validated networks; those of other tasks than classification bring their `metric_stderr`.
        images: test images.
        task: `classification` (binomial standard errors) or another.
    """
    for entry in entries:
        share = entry["metric"]
        if task == "classification":
            entry["metric_stderr"] = float(np.sqrt(max(share * (1.0 - share), 0.25 / images) / images))
        else:
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
            if kept and other is not entry and _tied(entry, other)
        ]


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


def _tied(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two metrics cannot be told apart; not so where a standard error is unknown."""
    if one["metric_stderr"] is None or other["metric_stderr"] is None:
        return False
    spread = float(np.hypot(one["metric_stderr"], other["metric_stderr"]))
    return bool(abs(one["metric"] - other["metric"]) < _NORMAL * spread)
