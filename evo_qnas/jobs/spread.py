"""Independent tasks over processes, results as they end, tasks of dead workers run again."""

import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import joblib
from joblib.externals.loky.process_executor import BrokenProcessPool

from evo_qnas.errors import JobError
from evo_qnas.jobs.call import Call, Lost
from evo_qnas.jobs.cluster import Cluster
from evo_qnas.jobs.connection import active
from evo_qnas.jobs.workers import watched_workers

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

# Tries after a worker's death: two tell a bad task from a passing lack of memory; the last one is alone, so that no
# neighbour can be the cause.
RETRIES = 2


def spread(
    task: Callable[[Any], Result],
    items: Sequence[Any],
    *,
    jobs: int,
    names: Sequence[str] | None = None,
    threads: int | None = None,
    lost: Callable[[int, str], Result] | None = None,
) -> Iterator[tuple[int, Result]]:
    """`(index, task(items[index]))` as the tasks end, in any order.

    Inside `connected` the tasks run on the workers of that cluster, else in processes of this machine, or in this
    process where there is one job or one item. A worker process that dies (killed, out of memory, crashed) is reported
    with the tasks that were under way; they are run again up to `RETRIES` times, and no finished result is lost.

    Args:
        task: sent to the workers, with everything it refers to.
        items: what it is called with.
        jobs: processes at most; -1 for one per core, or for all workers of the cluster.
        names: what people call the tasks; their numbers where absent.
        threads: of the numerical libraries in each process of this machine; None shares the cores out.
        lost: gives the result of a task whose worker died every time, from its index and the reason.

    Raises:
        JobError: a task's worker died every time and there is no `lost`, or the cluster went away.

    Example:
        >>> sorted(spread(len, ["a", "bcd"], jobs=1))
        [(0, 1), (1, 3)]
    """
    cluster = active()
    folder = None if cluster is None else os.getcwd()
    labels = names or [str(index) for index in range(len(items))]
    calls = {
        index: Call(name=labels[index], index=index, task=task, item=item, folder=folder)
        for index, item in enumerate(items)
    }
    if cluster is not None:
        ended = _on_cluster(calls, cluster, jobs)
    elif jobs == 1 or len(items) <= 1:
        ended = (call() for call in calls.values())
    else:
        ended = _in_processes(calls, jobs, threads)
    for index, result in ended:
        if not isinstance(result, Lost):
            yield index, result
        elif lost is not None:
            yield index, lost(index, result.reason)
        else:
            raise JobError(f"{result.reason}: what was finished is kept, run the same command again")


def _in_processes(calls: dict[int, Call], jobs: int, threads: int | None) -> Iterator[tuple[int, Any]]:
    """Results from processes of this machine; a round ends where one of them died, and the next does what is left."""
    waiting, deaths = dict(calls), Counter[int]()
    while waiting:
        suspects = [index for index in waiting if deaths[index] >= RETRIES]
        chosen = suspects[:1] or list(waiting)
        width = max(2, min(jobs, len(chosen))) if jobs > 0 else jobs
        started: list[int] = []
        try:
            for index, result in _round([waiting[index] for index in chosen], width, threads, started):
                del waiting[index]
                yield index, result
        except BrokenProcessPool as error:
            under_way = [index for index in started if index in waiting]
            deaths.update(under_way)
            report_death([calls[index].name for index in under_way], max(deaths.values()), str(error))
            for index in under_way:
                if deaths[index] > RETRIES:
                    del waiting[index]
                    yield index, Lost(f"the worker process of {calls[index].name} died {deaths[index]} times")


def _round(calls: Sequence[Call], width: int, threads: int | None, started: list[int]) -> Iterator[tuple[int, Any]]:
    """One pool of processes over some calls; `started` gets the index of each call that was handed out."""

    def handed() -> Iterator[Any]:
        for call in calls:
            started.append(call.index)
            yield joblib.delayed(call)()

    with joblib.parallel_config(backend="loky", inner_max_num_threads=threads, **watched_workers()):
        # No call waits in a process behind another one: what was handed out and has not ended is under way.
        pool = joblib.Parallel(n_jobs=width, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
        results: Iterator[tuple[int, Any]] = pool(handed())
    yield from results


def report_death(names: Sequence[str], death: int, why: str) -> None:
    """Logs that a process of this machine died."""
    codes = re.search(r"exit codes of the workers are \{(.*?)\}", why)
    then = "is run again" if death < RETRIES else "is run again alone" if death == RETRIES else "is given up"
    what = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    logger.warning(
        "a worker process died (%s) at work on %s: it %s (%d of %d times)",
        codes[1] if codes else "no exit code",
        what,
        then,
        min(death, RETRIES),
        RETRIES,
    )


def _on_cluster(calls: dict[int, Call], cluster: Cluster, jobs: int) -> Iterator[tuple[int, Any]]:
    """Results from a cluster, which runs tasks of dead workers again on its own."""
    slots = cluster.slots()
    width = slots if jobs < 1 else min(jobs, slots)
    pool = joblib.Parallel(
        n_jobs=width,
        backend=cluster.backend(),
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=width,
    )
    waiting, reason = dict(calls), ""
    with cluster.watched():
        for result in pool(joblib.delayed(call)() for call in calls.values()):
            if isinstance(result, Lost):
                reason = result.reason
                continue
            del waiting[result[0]]
            yield result
    for index, call in waiting.items():
        yield index, Lost(f"{call.name}: {reason}")
