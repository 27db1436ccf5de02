import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.kill_run import TIMED
from evo_qnas.archive import Archive
from evo_qnas.errors import CardError
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.tasks.classification import Classification, accuracy
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.tables import Tables


def run(folder: Path, changes: list[str], **options: Any) -> dict[str, Any]:
    name, card = load_card("digits", changes=changes, seed=5)
    return run_card(name, card, folder, **{"jobs": 1, **options})


def timeless(summary: Any) -> Any:
    """A summary without what a clock measured, and the verdict's findings about it."""
    if isinstance(summary, dict):
        return {k: timeless(v) for k, v in summary.items() if k not in {"seconds", "latency_ms", "latency_spread_ms"}}
    if isinstance(summary, list):
        return [timeless(item) for item in summary if not (isinstance(item, dict) and item.get("check") in TIMED)]
    return summary


def contents(folder: Path) -> dict[str, Any]:
    """Everything a run leaves, without times."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        # A kill in the middle of a write may leave its unfinished copy beside the good file.
        if path.is_file() and path.name != "seconds.json" and path.suffix != ".part":
            key = str(path.relative_to(folder))
            if path.name == "archive.h5":
                archive = Archive.load(path)
                found[key] = (archive.genomes.tolist(), archive.objectives.tolist(), archive.front.genomes.tolist())
            elif path.name == "summary.json":
                found[key] = timeless(json.loads(path.read_text()))
            elif path.name not in {"front.png", "report.html", "latency.json"}:
                found[key] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], list[str]]:
    from tests.pipeline.conftest import SMALL

    folder = tmp_path_factory.mktemp("run")
    return folder, run(folder, SMALL, jobs=1), SMALL


@pytest.fixture
def copied(finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path) -> Path:
    """A copy of the finished run, to be changed."""
    return Path(shutil.copytree(finished[0], tmp_path / "copy"))


def test_a_run_leaves_what_the_design_promises(finished: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, summary, _ = finished
    for name in (
        "card.toml",
        "teacher.safetensors",
        "tables.h5",
        "archive.h5",
        "front.csv",
        "front.png",
        "summary.json",
    ):
        assert (folder / name).is_file(), name
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["metric"] == {"name": "accuracy", "maximize": True, "unit": "%"}
    assert len(summary["networks"]) == 3
    assert summary["rank_correlation"]["networks"] == 4
    assert summary["search"]["hypervolume_share"] > 0.9
    tables = Tables.load(folder / "tables.h5")
    assert set(tables.baselines) == {"teacher_int8", "teacher_int4"}
    assert {label[0] for label in tables.blocks[1].labels} == {"teacher", "ds_k3_d1", "identity"}
    # The first block has a stride: no identity there.
    assert {label[0] for label in tables.blocks[0].labels} == {"teacher", "ds_k3_d1"}
    assert "score_stderr" not in tables.columns
    assert tables.columns["score"].stderr is not None


def test_predicted_sizes_are_those_of_the_built_networks(finished: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, summary, _ = finished
    for entry in summary["networks"]:
        assert entry["predicted"]["size_bytes"] == entry["size_bytes"]
        tensors, _ = load_weights(folder / "networks" / entry["id"] / "weights.safetensors")
        assert sum(t.numel() * t.element_size() for t in tensors.values()) == entry["size_bytes"]


def test_a_stored_network_gives_the_accuracy_of_the_summary(
    finished: tuple[Path, dict[str, Any], list[str]],
) -> None:
    folder, summary, changes = finished
    name, card = load_card("digits", changes=changes, seed=5)
    context = RunContext(name=name, card=card, folder=folder)
    entry = summary["networks"][-1]
    modules = {row["block"]: context.candidates.trained(row["block"], row["operator"]) for row in entry["blocks"]}
    bits = {
        row["block"]: Bits(weight=row["weight_bits"], activation=row["activation_bits"])
        for row in entry["blocks"]
        if row["weight_bits"]
    }
    network = quantize(
        assemble(context.teacher, modules), context.calibration[:2], Policy(fixed=context.fixed_bits, blocks=bits)
    )
    network.restore(load_weights(folder / "networks" / entry["id"] / "weights.safetensors")[0])
    assert accuracy(network, context.splits.test) == entry["metric"]
    counts, whole = (
        load_weights(folder / "networks" / identity / "outcomes.safetensors")[0]["outcomes"]
        for identity in (entry["id"], "teacher_int8")
    )
    assert Classification().metric_of(counts) == entry["metric"]
    assert entry["minus_teacher_int8"] == {
        "metric": entry["metric"] - summary["teacher_int8"]["metric"],
        "stderr": Classification().difference(counts, whole, seed=card.seed)[1],
    }


def test_a_second_run_changes_nothing(finished: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, summary, changes = finished
    kept = ("teacher.safetensors", "tables.h5", "networks")
    before = {name: (folder / name).stat().st_mtime_ns for name in kept}
    content = contents(folder)
    assert {**run(folder, changes), "seconds": 0} == {**summary, "seconds": 0}
    assert contents(folder) == content
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == before


@pytest.mark.slow  # tests of refinement compare the files of two jobs with those of one too
def test_two_jobs_give_the_same_files_as_one(finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path) -> None:
    folder, _, changes = finished
    run(tmp_path / "two", changes, jobs=2)
    assert contents(tmp_path / "two") == contents(folder)


def test_another_card_in_the_same_folder_is_refused(finished: tuple[Path, dict[str, Any], list[str]]) -> None:
    folder, _, changes = finished
    content = contents(folder)
    with pytest.raises(CardError, match=r"another card \(search\.evaluations was 80, is 90\): give another folder"):
        run(folder, [*changes, "search.evaluations=90"])
    assert contents(folder) == content


def test_a_changed_card_makes_again_only_what_depends_on_it(
    finished: tuple[Path, dict[str, Any], list[str]], copied: Path
) -> None:
    _, _, changes = finished
    before = (copied / "tables.h5").stat().st_mtime_ns
    summary = run(copied, [*changes, "search.evaluations=60"], anew=True)
    assert summary["search"]["evaluations"] <= 60
    assert (copied / "tables.h5").stat().st_mtime_ns == before


def test_other_candidates_of_one_block_leave_the_scores_of_the_others(
    finished: tuple[Path, dict[str, Any], list[str]], copied: Path
) -> None:
    folder, _, changes = finished
    before = {name: (copied / "blocks" / name / "choices.json").stat().st_mtime_ns for name in ("stages.0", "stages.1")}
    uses = (
        '[{card="depthwise_separable",kernel=[3],depth=[1]},{card="identity"},'
        '{card="inverted_residual",blocks=["stages.1"],kernel=[3],expansion=[1],depth=[1]}]'
    )
    run(copied, [*changes, f"operators={uses}"], anew=True, until="tables")
    after = {name: (copied / "blocks" / name / "choices.json").stat().st_mtime_ns for name in before}
    assert after["stages.0"] == before["stages.0"]
    assert after["stages.1"] > before["stages.1"]
    old, new = (
        [set(block.operators) for block in Tables.load(context / "tables.h5").blocks] for context in (folder, copied)
    )
    added = [there - here for here, there in zip(old, new, strict=True)]
    assert added == [set(), {"ir_k3_e1_d1"}]


def test_weights_of_the_users_are_taken_instead_of_training(
    finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path
) -> None:
    folder, _, changes = finished
    given = [*changes, f'teacher.weights="{folder / "teacher.safetensors"}"']
    run(tmp_path / "given", given, until="teacher")
    one, other = (load_weights(context / "teacher.safetensors")[0] for context in (folder, tmp_path / "given"))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def start(folder: Path, changes: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "evo_qnas.cli", "run", "digits", "--seed", "5", "-o", str(folder), "--jobs", "1"]
    for change in changes:
        command += ["--set", change]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def killed_at(folder: Path, changes: list[str], mark: str) -> None:
    """Runs until `mark` is there, then kills the process and all its children."""
    process = start(folder, changes)
    limit = time.monotonic() + 120
    while process.poll() is None and not list(folder.glob(mark)) and time.monotonic() < limit:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert list(folder.glob(mark))


MARKS = {
    "teacher": "card.toml",
    "blocks": "blocks/stages.0/ds_k3_d1.safetensors",
    "tables": "blocks/stages.0/choices.json",
    "search": "archive.h5*",
    "networks": "networks/*/weights.safetensors",
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", MARKS)
def test_a_run_killed_in_any_stage_ends_like_an_unbroken_one(
    finished: tuple[Path, dict[str, Any], list[str]], tmp_path: Path, stage: str
) -> None:
    folder, _, changes = finished
    killed_at(tmp_path / "killed", changes, MARKS[stage])
    run(tmp_path / "killed", changes, jobs=1)
    assert contents(tmp_path / "killed") == contents(folder)
