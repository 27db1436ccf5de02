"""Validated networks against each other: which are dominated after all, and which cannot be told apart."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from evo_qnas.archive import Archive, Validated
from evo_qnas.networks.tasks.base import Outcomes, Task
from evo_qnas.pareto import nondominated
from evo_qnas.summary import Difference, ValidatedNetwork

_NORMAL = 1.96  # a 95 % interval of a normal distribution
Paired = Callable[[Outcomes, Outcomes], tuple[float, float | None]]

_AFTER = ("metric", "metric_search_split", "metric_stderr", "size_bytes", "round")


def ranked(
    networks: Sequence[ValidatedNetwork],
    task: Task,
    *,
    baseline: str | None = None,
    outcomes: Mapping[str, Outcomes] | None = None,
    seed: int = 0,
) -> tuple[ValidatedNetwork, ...]:
    """The networks with `dominated_by`, `tied_with` and `minus_teacher_int8`.

    A network is dominated where another one is no larger and at least as good in the metric, and better in one of
    the two. Two networks are tied where their metrics differ by less than 1.96 standard errors of the difference,
    paired by image where the outcomes of both are there, else taken as independent, which says ties too often.
    `tied_with` names those of the networks that are not dominated. `minus_teacher_int8` is the lead of a network's
    metric over the baseline's, with the paired standard error or None.

    Args:
        networks: validated on the same images.
        task: gives the direction of the metric and the errors of differences.
        baseline: id of the INT8 teacher.
        outcomes: by id, all of the same images.
        seed: of the resamples.
    """
    if not networks:
        return ()
    known = {} if outcomes is None else outcomes
    difference = partial(task.difference, seed=seed)
    sign = -1.0 if task.maximize else 1.0
    points = np.array([[sign * network.metric, network.size_bytes] for network in networks], dtype=np.float64)
    front = nondominated(points)
    whole = next((network for network in networks if network.id == baseline), None)
    results = []
    for index, network in enumerate(networks):
        below = (points <= points[index]).all(axis=1) & front & (points < points[index]).any(axis=1)
        rows = np.flatnonzero(below)
        best = rows[np.argsort(points[rows, 0], kind="stable")] if len(rows) else rows
        tied = tuple(
            other.id
            for other, kept in zip(networks, front, strict=True)
            if kept and other is not network and _tied(network, other, _paired(network, other, known, difference))
        )
        lead = None
        if whole is not None and network is not whole:
            lead = Difference(metric=network.metric - whole.metric, stderr=_paired(network, whole, known, difference))
        dominated_by = networks[int(best[0])].id if len(best) else None
        results.append(network.having(dominated_by=dominated_by, tied_with=tied, minus_teacher_int8=lead))
    return tuple(results)


def keep_validated(archive: Archive, networks: Sequence[ValidatedNetwork]) -> Archive:
    """The archive with all measured networks in its validated table; its file is left alone where they are there."""
    entries = tuple(
        Validated(
            id=network.id,
            genome=network.genome,
            before={"metric": network.metric_before_finetune},
            after={name: float(getattr(network, name)) for name in _AFTER if getattr(network, name) is not None},
            files={"weights": f"networks/{network.id}/weights.safetensors"},
        )
        for network in networks
    )
    known = {entry.id: entry for entry in archive.validated}
    same = all(
        entry.id in known
        and known[entry.id].genome == entry.genome
        and dict(known[entry.id].after) == dict(entry.after)
        for entry in entries
    )
    return archive if same else archive.add_validation(*entries)


def _paired(
    one: ValidatedNetwork, other: ValidatedNetwork, known: Mapping[str, Outcomes], difference: Paired
) -> float | None:
    """Standard error of the difference of two metrics on the same images, None without the outcomes of both."""
    if one.id not in known or other.id not in known:
        return None
    return difference(known[one.id], known[other.id])[1]


def _tied(one: ValidatedNetwork, other: ValidatedNetwork, spread: float | None) -> bool:
    """True where two metrics cannot be told apart; not so where a standard error is unknown."""
    if spread is None:
        if one.metric_stderr is None or other.metric_stderr is None:
            return False
        spread = float(np.hypot(one.metric_stderr, other.metric_stderr))
    return bool(abs(one.metric - other.metric) < _NORMAL * spread)
