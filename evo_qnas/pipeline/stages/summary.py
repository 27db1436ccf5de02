"""The end of a run: `front.csv`, `front.png`, `summary.json`, `report.html`."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import final

import torch

from evo_qnas.archive import Archive
from evo_qnas.files import write_text
from evo_qnas.networks.tasks.base import metric_value
from evo_qnas.pareto import certificate
from evo_qnas.pipeline.context import RunContext, digest, to_json
from evo_qnas.pipeline.dry_run import dry_run
from evo_qnas.pipeline.jobs import default_jobs
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.stages.export import FAILED, float_latency
from evo_qnas.pipeline.validation import BASELINE
from evo_qnas.plots import plot_run
from evo_qnas.problem import TableProblem
from evo_qnas.report import write_report
from evo_qnas.summary import (
    FloatTeacher,
    FurtherSearchSummary,
    Int8Teacher,
    RoundSummary,
    RunSummary,
    SearchSummary,
    ValidatedNetwork,
)
from evo_qnas.summary.health import judge

_PACKAGES = ("evo-qnas", "torch", "numpy", "scipy", "h5py", "pymoo", "moocore", "scikit-learn", "onnxruntime")
_FLOAT_BYTES = 4  # of a float32 parameter


@final
class SummaryStage(Stage):
    """Leaves what a person looks at."""

    name = "summary"
    about = "summary.json, front.csv, front.png and report.html"
    outputs = ("summary.json", "front.csv", "front.png", "report.html")

    def fingerprint(self, context: RunContext) -> str:
        """That of the whole card."""
        return digest("summary", context.fingerprints.tables, context.description)

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the summary."""
        problem, archive = required(state.problem, "problem"), required(state.archive, "archive")
        found = summarize(context, state, seconds=dict(resources.seconds))
        summary = found.model_copy(update={"verdict": judge(found)})
        content = summary.to_dict()
        folder = context.folder
        archive.front.to_csv(folder / "front.csv")
        plot_run(content, problem.tables, archive.front.genomes, folder / "front.png")
        write_text(context.paths.summary, to_json(content))
        write_report(folder, folder / "report.html")
        return state.having(summary=summary)


def summarize(context: RunContext, state: RunState, *, seconds: dict[str, float]) -> RunSummary:
    """The content of `summary.json`."""
    problem, archive = required(state.problem, "problem"), required(state.archive, "archive")
    int8 = next((network for network in state.networks if network.id == BASELINE), None)
    splits, task = context.splits, context.task
    return RunSummary(
        card=context.name,
        task=context.workload.task_name,
        metric=metric_value(task),
        seconds=seconds,
        teacher_float=FloatTeacher(
            metric=task.metric(context.teacher, splits.test),
            size_bytes=_FLOAT_BYTES * sum(parameter.numel() for parameter in context.teacher.parameters()),
            latency_ms=float_latency(context),
        ),
        teacher_int8=None if int8 is None else _baseline(int8),
        networks=tuple(network for network in state.networks if network.id != BASELINE),
        rank_correlation=state.rank_correlation,
        rounds=tuple(RoundSummary.model_validate(entry) for entry in state.rounds),
        search=_search(context, problem, archive),
        searches={name: _further(context, name, other) for name, other in state.searches.items()},
        images={"train": len(splits.train), "search": len(splits.search), "test": len(splits.test)},
        versions={"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        hardware={
            "machine": platform.machine(),
            "cores": default_jobs(),
            "device": context.device if context.device == "cpu" else torch.cuda.get_device_name(),
        },
        seed=context.card.seed,
        warnings=_warnings(context, state),
    )


def _warnings(context: RunContext, state: RunState) -> tuple[str, ...]:
    """What the run did without: candidates, fine-tuning, files."""
    report = dry_run(context)
    found = [each.sentence for each in (*report.left_out, *context.diverged)]
    for network in state.networks:
        if network.warning is not None:
            found.append(f"network {network.id}: {network.warning}")
        if network.onnx is not None and FAILED in network.onnx:
            found.append(f"network {network.id} has no ONNX file: {network.onnx[FAILED]}")
    return tuple(found)


def _baseline(network: ValidatedNetwork) -> Int8Teacher:
    return Int8Teacher(**{name: getattr(network, name) for name in Int8Teacher.model_fields})


def _search(context: RunContext, problem: TableProblem, archive: Archive) -> SearchSummary:
    share, text = None, "no certificate: an objective or a limit is no sum over blocks"
    if problem.additive is not None:
        proof = certificate(problem, problem.evaluate(archive.front.genomes)[0])
        share, text = proof.share, str(proof)
    return SearchSummary(
        algorithm=context.card.search.algorithm,
        evaluations=len(archive.genomes),
        front=len(archive.front.genomes),
        hypervolume_share=share,
        certificate=text,
    )


def _further(context: RunContext, name: str, archive: Archive) -> FurtherSearchSummary:
    settings = context.card.searches[name]
    return FurtherSearchSummary(
        algorithm=settings.algorithm,
        objectives=tuple(info.name for info in archive.header.objectives),
        pick_by=settings.pick_by,
        evaluations=len(archive.genomes),
        front=len(archive.front.genomes),
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
