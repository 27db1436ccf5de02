"""Work of a run spread over processes, with the same results whatever their number."""

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from evo_qnas.jobs import active, claimed_device, spread
from evo_qnas.networks.acceleration.devices import prepare_process
from evo_qnas.pipeline.context import RunContext
from evo_qnas.progress import progress_bar
from evo_qnas.terminal import say

Result = TypeVar("Result")


def in_jobs(
    task: Callable[..., Result],
    items: Sequence[Any],
    *,
    context: RunContext,
    jobs: int,
    label: str,
    names: Sequence[str] | None = None,
) -> list[Result]:
    """Results of `task(item)` in the order of the items, spread over processes, with a progress bar.

    Every job computes with the same number of threads, in this process or in another, so that the number of jobs
    changes no result. On GPUs there is one job per device.
    """
    titles = [f"{label}: {name}" for name in names or [str(index) for index in range(len(items))]]
    job = _Job(task=task, threads=context.card.threads, device=context.device)
    if context.device == "cuda" and active() is None:
        jobs = min(jobs, torch.cuda.device_count())
    done: dict[int, Result] = {}
    with progress_bar(label, len(items)) as advance:
        for index, result in spread(job, list(zip(titles, items, strict=True)), jobs=jobs, names=titles):
            done[index] = result
            advance(1)
    return [done[index] for index in range(len(items))]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A task in a worker: its number of threads, and a GPU of its own where there are GPUs."""

    task: Callable[[Any], Any]
    threads: int
    device: str

    def __call__(self, named: tuple[str, Any]) -> Any:
        name, item = named
        prepare_process(self.threads)
        if self.device != "cuda":
            return self.task(item)
        with claimed_device(torch.cuda.device_count()) as index, torch.cuda.device(index):
            say(f"evo-qnas: {name} on cuda:{index} of {platform.node()}", error=True)
            return self.task(item)


def default_jobs() -> int:
    """As many jobs as this process may use cores."""
    return len(os.sched_getaffinity(0)) if "sched_getaffinity" in dir(os) else os.cpu_count() or 1
