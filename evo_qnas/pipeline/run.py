"""`evo-qnas run`: all stages of a card in one folder, resuming what is there."""

import functools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from evo_qnas.archive import Archive
from evo_qnas.errors import CardError
from evo_qnas.files import write_text
from evo_qnas.jobs import connected
from evo_qnas.pipeline.cards.problem import ProblemCard
from evo_qnas.pipeline.check import check_card
from evo_qnas.pipeline.ending import finish
from evo_qnas.pipeline.inplace import inplace_stage
from evo_qnas.pipeline.latency import latency_stage
from evo_qnas.pipeline.onnx_stage import export_networks
from evo_qnas.pipeline.reranking import keep_validated, rerank
from evo_qnas.pipeline.rounds import further_rounds
from evo_qnas.pipeline.searching import make_archive, problem_of
from evo_qnas.pipeline.stages import default_jobs, make_blocks, make_tables, make_teacher
from evo_qnas.pipeline.validation import BASELINE, pick, rank_correlation, stored_outcomes, validate_picks
from evo_qnas.pipeline.workplace import Workplace, to_json
from evo_qnas.tables import Tables

STAGES = ("teacher", "blocks", "tables", "latency", "search", "networks", "export", "summary")

Result = TypeVar("Result")


def run_card(
    name: str,
    card: ProblemCard,
    folder: Path,
    *,
    device: str = "auto",
    jobs: int | None = None,
    cluster: str | None = None,
    until: str = STAGES[-1],
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
        until: last stage to run, one of `STAGES`.
        anew: make again what was made from another card in this folder, instead of refusing it.

    Raises:
        CardError: the folder holds a run of another card, or a setting breaks a rule.
        JobError: the cluster cannot be used, or a job's worker died every time.
    """
    if until not in STAGES:
        raise CardError(f"--until {until!r}: the stages are {', '.join(STAGES)}")
    place = Workplace(name=name, card=card, folder=folder.resolve(), device=_device(device))
    check_card(place, anew=anew)
    with connected(cluster) as there:
        return _run_stages(place, until, workers=jobs or (default_jobs() if cluster is None else there))


def _run_stages(place: Workplace, until: str, *, workers: int) -> dict[str, Any]:
    """All stages up to one."""
    name, card = place.name, place.card
    clock = _Clock(place.folder / "seconds.json")
    last = STAGES.index(until)
    clock.time("teacher", lambda: make_teacher(place))
    if last >= STAGES.index("blocks"):
        clock.time("blocks", lambda: make_blocks(place, jobs=workers))
    if last < STAGES.index("tables"):
        return {"card": name, "seconds": clock.seconds}
    tables = clock.time("tables", lambda: make_tables(place, jobs=workers))
    if card.inplace is not None:
        tables = clock.time("inplace", functools.partial(inplace_stage, place, tables, jobs=workers))
    if last >= STAGES.index("latency") and card.latency is not None:
        tables = clock.time("latency", lambda: latency_stage(place, tables, jobs=workers))
    if last < STAGES.index("search"):
        return {"card": name, "seconds": clock.seconds}
    problem = problem_of(place, tables)
    archive = clock.time("search", lambda: make_archive(place, problem))
    further = {
        name: clock.time(f"search {name}", functools.partial(_search, place, tables, name)) for name in card.searches
    }
    if last < STAGES.index("networks"):
        return {"card": name, "seconds": clock.seconds}
    picks, origin = _picks(place, tables, archive, further)
    networks = clock.time("networks", lambda: validate_picks(place, tables, picks, jobs=workers))
    for entry in networks:
        entry["searches"] = origin[entry["id"]]
    rounds: list[dict[str, Any]] = []
    if (card.search.rounds or 1) > 1:
        first = networks
        networks, rounds = clock.time("rounds", lambda: further_rounds(place, tables, first, jobs=workers))
    rerank(
        networks,
        task=card.task,
        baseline=BASELINE,
        outcomes=stored_outcomes(place, networks),
        seed=card.seed,
    )
    archive = keep_validated(archive, networks)
    correlation = clock.time("random networks", lambda: rank_correlation(place, tables, jobs=workers))
    if last < STAGES.index("export"):
        return {"card": name, "seconds": clock.seconds}
    clock.time("export", lambda: export_networks(place, networks, jobs=workers))
    if last < STAGES.index("summary"):
        return {"card": name, "seconds": clock.seconds}
    return finish(
        place,
        problem,
        archive,
        further=further,
        networks=networks,
        rounds=rounds,
        correlation=correlation,
        seconds=clock.seconds,
    )


def _search(place: Workplace, tables: Tables, name: str) -> Archive:
    """A further search of the card."""
    return make_archive(place, problem_of(place, tables, place.card.searches[name]), name)


def _picks(
    place: Workplace, tables: Tables, archive: Archive, further: Mapping[str, Archive]
) -> tuple[dict[str, tuple[int, ...]], dict[str, list[str]]]:
    """Networks to validate by id, and the searches that each is a pick of; "" is the main search."""
    wanted = place.card.validation
    found = {"": pick(tables, archive.front.genomes, wanted.size_shares, least=wanted.least_picks)}
    for name, other in further.items():
        settings = place.card.searches[name]
        found[name] = pick(
            tables, other.front.genomes, settings.pick_shares, column=settings.pick_by, least=len(settings.pick_shares)
        )
    picks = {identity: genome for part in found.values() for identity, genome in part.items()}
    return picks, {identity: [name for name, part in found.items() if identity in part] for identity in picks}


def _device(wanted: str) -> str:
    """The torch device to train on."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise CardError("--device cuda: torch finds no CUDA device here, use --device cpu")
    if wanted not in {"cpu", "cuda"}:
        raise CardError(f"--device {wanted!r}: choose auto, cpu or cuda")
    return wanted


class _Clock:
    """Seconds per stage, kept over interruptions: a stage that is skipped keeps the time it once took."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.seconds: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.seconds = {}

    def time(self, stage: str, work: Callable[[], Result]) -> Result:
        """What `work` gives; its time is added to the stage's unless the stage was only looked up."""
        start = time.perf_counter()
        result = work()
        taken = time.perf_counter() - start
        if stage not in self.seconds or taken > 2.0:
            self.seconds[stage] = round(self.seconds.get(stage, 0.0) + taken, 2)
            write_text(self.path, to_json(self.seconds))
        return result
