"""The end of a run: `front.csv`, `front.png`, `summary.json`, `report.html`."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from evo_qnas.archive import Archive
from evo_qnas.files import write_text
from evo_qnas.pareto import certificate
from evo_qnas.pipeline.onnx_stage import float_latency
from evo_qnas.pipeline.stages import default_jobs
from evo_qnas.pipeline.validation import BASELINE
from evo_qnas.pipeline.workplace import Workplace, to_json
from evo_qnas.plots import plot_run
from evo_qnas.problem import TableProblem
from evo_qnas.report import write_report

_PACKAGES = ("evo-qnas", "torch", "numpy", "scipy", "h5py", "pymoo", "moocore", "scikit-learn", "onnxruntime")
_FLOAT_BYTES = 4
_OF_THE_TEACHER = ("metric", "metric_before_finetune", "metric_search_split", "size_bytes", "latency_ms")


def finish(
    place: Workplace,
    problem: TableProblem,
    archive: Archive,
    *,
    further: Mapping[str, Archive],
    networks: Sequence[dict[str, Any]],
    rounds: Sequence[dict[str, Any]],
    correlation: dict[str, Any] | None,
    seconds: dict[str, float],
) -> dict[str, Any]:
    """Writes what a person looks at, and gives the content of `summary.json`."""
    size = _FLOAT_BYTES * sum(parameter.numel() for parameter in place.teacher.parameters())
    int8 = next((entry for entry in networks if entry["id"] == BASELINE), None)
    proof = certificate(problem, problem.evaluate(archive.front.genomes)[0])
    summary = {
        "card": place.name,
        "task": place.card.task,
        "metric": {"name": place.task.metric_name, "maximize": True},
        "seconds": seconds,
        "teacher_float": {
            "metric": place.task.metric(place.teacher, place.splits.test),
            "size_bytes": size,
            "latency_ms": float_latency(place),
        },
        "teacher_int8": None if int8 is None else {key: int8[key] for key in _OF_THE_TEACHER},
        "networks": [entry for entry in networks if entry["id"] != BASELINE],
        "rank_correlation": correlation,
        "rounds": list(rounds),
        "search": {
            "algorithm": place.card.search.algorithm,
            "evaluations": len(archive.genomes),
            "front": len(archive.front.genomes),
            "hypervolume_share": proof.share,
            "certificate": str(proof),
        },
        "searches": {
            name: {
                "algorithm": place.card.searches[name].algorithm,
                "objectives": [info.name for info in other.header.objectives],
                "pick_by": place.card.searches[name].pick_by,
                "evaluations": len(other.genomes),
                "front": len(other.front.genomes),
            }
            for name, other in further.items()
        },
        "images": {
            "train": len(place.splits.train),
            "search": len(place.splits.search),
            "test": len(place.splits.test),
        },
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "hardware": {
            "machine": platform.machine(),
            "cores": default_jobs(),
            "device": place.device if place.device == "cpu" else torch.cuda.get_device_name(),
        },
        "seed": place.card.seed,
    }
    write_text(place.folder / "front.csv", archive.front.to_dataframe().to_csv(index=False))
    plot_run(summary, problem.tables, archive.front.genomes, place.folder / "front.png")
    write_text(place.folder / "summary.json", to_json(summary))
    write_report(place.folder, place.folder / "report.html")
    return summary


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
