"""All stages of a run in one folder, resuming what is there."""

import functools
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, final

import torch

from evo_qnas.archive.locking import sole_writer
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.jobs import connected
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.pipeline.check import check_card
from evo_qnas.pipeline.context import RunContext, to_json
from evo_qnas.pipeline.jobs import default_jobs
from evo_qnas.pipeline.stages import Resources, RunState, Stage, stages_until
from evo_qnas.progress import announce, duration

LAST = "summary"
_LOOKED_UP = 2.0  # seconds; a stage that took less was only looked up, and keeps the time it once took

Result = TypeVar("Result")


def run_card(
    name: str,
    card: ProblemCard,
    folder: Path,
    *,
    device: str = "auto",
    jobs: int | None = None,
    cluster: str | None = None,
    until: str = LAST,
    anew: bool = False,
) -> dict[str, Any]:
    """Runs a card up to a stage; gives the content of `summary.json`, of an earlier stage the seconds taken.

    Args:
        name: name of the card.
        card: its content.
        folder: the run folder; what is there and was made from the same card is kept.
        device: `auto`, `cpu` or `cuda`.
        jobs: worker processes; None takes every core, or every worker of the cluster. The results do not depend on it.
        cluster: where blocks and networks are worked on, see `evo_qnas.jobs.connected`; None is this machine.
        until: last stage to run, one of `evo_qnas.pipeline.stages.milestones`.
        anew: make again what was made from another card in this folder, instead of refusing it.

    Raises:
        CardError: the folder holds a run of another card, another process works there, it was moved, or a setting
            breaks a rule.
        JobError: the cluster cannot be used, or a job's worker died every time.
    """
    context = RunContext(name=name, card=card, folder=folder.resolve(), device=device_of(device))
    state, seconds = run_stages(context, jobs=jobs, cluster=cluster, until=until, anew=anew)
    return {"card": name, "seconds": seconds} if state.summary is None else state.summary.to_dict()


def run_stages(
    context: RunContext,
    *,
    jobs: int | None = None,
    cluster: str | None = None,
    until: str = LAST,
    anew: bool = False,
) -> tuple[RunState, dict[str, float]]:
    """What the stages of a run give, up to one of them, and the seconds that each took; arguments as of `run_card`.

    Raises:
        CardError: the folder holds another run, or a setting breaks a rule.
        JobError: the cluster cannot be used, or a job's worker died every time.
    """
    stages = stages_until(until)
    with sole_writer(context.folder, CardError) as still_there:
        context = check_card(context, anew=anew)
        with connected(cluster) as workers:
            clock = _Clock(context.paths.seconds, still_there)
            count = jobs or (default_jobs() if cluster is None else workers)
            state = _run(context, stages, Resources(jobs=count, seconds=clock.seconds, time=clock.time))
    return state, clock.seconds


def _run(context: RunContext, stages: tuple[Stage, ...], resources: Resources) -> RunState:
    """The state after these stages."""
    state = RunState()
    asked = [stage for stage in stages if stage.asked_for(context)]
    for number, stage in enumerate(asked, start=1):
        announce(f"stage {number} of {len(asked)}: {stage.name}")
        start, ended_once = time.perf_counter(), stage.name in resources.seconds
        before = _files(context.folder, but=context.paths.seconds) if ended_once else None
        work = functools.partial(stage.run, context, state, resources)
        state = work() if stage.name == LAST else resources.time(stage.name, work)
        if ended_once and _files(context.folder, but=context.paths.seconds) == before:
            announce(f"{stage.name}: found finished")
        announce(f"{stage.name}: took {duration(time.perf_counter() - start)}", detail=True)
    return state


def _files(folder: Path, *, but: Path) -> dict[str, tuple[int, int]]:
    """Size and inode of all files of a run folder but one; what is made again gets another inode."""
    found = {}
    for path in map(str, folder.rglob("*")):
        with suppress(OSError):  # a file that another process has just taken away
            known = os.stat(path)
            # An archive is sealed again when it is opened, and grows where the search goes on.
            found[path] = (known.st_size, 0 if path.endswith(".h5") else known.st_ino)
    found.pop(str(but), None)
    return {path: value for path, value in found.items() if not os.path.isdir(path)}


def device_of(name: str) -> str:
    """The torch device to train on, from `auto`, `cpu` or `cuda`.

    Raises:
        CardError: there is no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise CardError("device = 'cuda': torch finds no CUDA device here, choose cpu")
    if name not in {"cpu", "cuda"}:
        raise CardError(f"device = {name!r}: choose auto, cpu or cuda")
    return name


@final
class _Clock:
    """Seconds per stage, kept over interruptions: a stage that is skipped keeps the time it once took."""

    def __init__(self, path: Path, still_there: Callable[[], None]) -> None:
        self.path = path
        self._still_there = still_there
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            known = None
        entries = known.items() if isinstance(known, dict) else ()
        self.seconds = {name: value for name, value in entries if isinstance(value, int | float) and 0 <= value < 1e9}

    def time(self, name: str, work: Callable[[], Result]) -> Result:
        """The result of `work`; its time is added to the entry's unless it was only looked up."""
        start = time.perf_counter()
        result = work()
        elapsed = time.perf_counter() - start
        # Files of a stage would go on to the folder's old place.
        self._still_there()
        if name not in self.seconds or elapsed > _LOOKED_UP:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + elapsed, 2)
            write_text(self.path, to_json(self.seconds))
        return result
