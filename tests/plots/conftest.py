"""Small archives of two, three and four objectives, and a run folder with what a run leaves."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

OBJECTIVES = ["score", "size_bytes", "latency_ms", "macs"]


def made_archive(m: int, path: Path | None = None, *, tables: Tables | None = None) -> Archive:
    """A short search in the first `m` objectives, under one limit."""
    shown = generate_tables(5, operators=4) if tables is None else tables
    problem = TableProblem(shown, objectives=OBJECTIVES[:m], constraints=["latency_ms <= 3"])
    return search(problem, evaluations=600, population=40, seed=0, path=path)


def make_run(folder: Path, *, name: str = "made-up") -> Path:
    """A run folder: archive, summary, random networks and card; the metrics are made up."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = made_archive(2, folder / "archive.h5")
    tables = archive.tables
    assert tables is not None
    networks = []
    for place in (0, len(archive.front) // 2, len(archive.front) - 1):
        genome = archive.front.genomes[place]
        networks.append(
            {
                "id": f"net{place}",
                "genome": genome.tolist(),
                "blocks": [
                    {"block": block.name, "operator": label[0], "weight_bits": label[1], "activation_bits": label[2]}
                    for block, label in zip(
                        tables.blocks, [b.labels[v] for b, v in zip(tables.blocks, genome, strict=True)], strict=True
                    )
                ],
                "metric_stderr": None,
                "metric_search_split": 0.96,
                "predicted": {column: float(tables.total(column, genome[None])[0]) for column in tables.columns},
                "metric_before_finetune": 0.9 - 0.002 * place,
                "metric": 0.97 - 0.001 * place,
                "size_bytes": int(tables.total("size_bytes", genome[None])[0]),
                "latency_ms": None,
            }
        )
    int8 = {"metric": 0.968, "metric_before_finetune": 0.95, "size_bytes": 200_000, "latency_ms": None}
    summary: dict[str, Any] = {
        "card": name,
        "task": "classification",
        "metric": {"name": "accuracy", "maximize": True, "unit": "%"},
        "seconds": {"search": 1.5},
        "teacher_float": {"metric": 0.975, "size_bytes": 800_000, "latency_ms": None},
        "teacher_int8": int8,
        "networks": networks,
        "rank_correlation": {"kendall_tau": 0.71, "networks": 6, "low": 0.2, "high": 0.95},
        "rounds": [],
        "search": {
            "algorithm": "nsga2",
            "evaluations": 600,
            "front": len(archive.front),
            "hypervolume_share": None,
            "certificate": "no certificate",
        },
        "searches": {},
        "images": {"train": 6, "search": 6, "test": 6},
        "versions": {"python": "3"},
        "hardware": {"cores": 2},
        "seed": 7,
    }
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    genomes = np.random.default_rng(0).integers(0, tables.choices, size=(6, len(tables.blocks)))
    (folder / "networks").mkdir(exist_ok=True)
    found = {"genomes": genomes.tolist(), "metric": [0.5, 0.6, 0.55, 0.7, 0.65, 0.8]}
    (folder / "networks" / "random.json").write_text(json.dumps(found), encoding="utf-8")
    (folder / "card.toml").write_text('task = "classification"\n', encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Archive files by number of objectives."""
    folder = tmp_path_factory.mktemp("archives")
    for m in (1, 2, 3, 4):
        made_archive(m, folder / f"{m}.h5")
    return {m: folder / f"{m}.h5" for m in (1, 2, 3, 4)}


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    return make_run(tmp_path_factory.mktemp("run") / "made-up")
