"""Further rounds on a shrunken digits card: proposals are new, measured, and the same when the run is resumed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.errors import CardError
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.stages.rounds import Measured, _allowed, _hypervolume, _unknown, metric_of_error
from evo_qnas.problem import CustomObjective, TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables
from tests.networks.tasks.test_own_task import Regression

ROUNDS = [
    "search.rounds=3",
    "predictor.batch=2",
    'in_context.measure="kl"',
    "validation.size_shares=[0.9,0.7,0.5]",
    "quantization.weight_bits=[2,3,4,8]",
]


def run(folder: Path, changes: list[str], **options: Any) -> dict[str, Any]:
    name, card = load_card("digits", changes=changes, seed=5)
    return run_card(name, card, folder, jobs=1, until="summary", **options)


@pytest.mark.parametrize("measure", ["finetuned", pytest.param("calibrated", marks=pytest.mark.slow)])
def test_rounds_propose_measure_and_resume(
    measure: str, small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evo_qnas.networks.export.runtime.missing_of", lambda _packages: ("onnx",))
    changes = [*small, *ROUNDS, f'predictor.measure="{measure}"']
    summary = run(tmp_path, changes)
    assert [entry["round"] for entry in summary["rounds"]] == [2, 3]
    for entry in summary["rounds"]:
        assert entry["hypervolume_after"] >= entry["hypervolume_before"]
        assert entry["predictor"] in entry["kendall_tau"]
    later = [entry for entry in summary["networks"] if entry.get("round")]
    assert len(later) == (4 if measure == "finetuned" else 2)
    genomes = [tuple(entry["genome"]) for entry in summary["networks"]]
    assert len(set(genomes)) == len(genomes), "nothing is measured twice"
    for entry in later:
        assert set(entry["foretold"]) == {"metric", "spread"}
        assert entry["searches"] == [f"round {entry['round']}"]
    archive = Archive.load(tmp_path / "archive.h5")
    assert {network.id for network in archive.validated} == {e["id"] for e in summary["networks"]} | {"teacher_int8"}
    tables = Tables.load(tmp_path / "tables.h5")
    assert "of one core" in tables.column("score_in_context").source
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.glob("networks/*/*")}
    again = run(tmp_path, changes)
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.glob("networks/*/*")}
    assert json.loads((tmp_path / "summary.json").read_text())["rounds"] == summary["rounds"]
    scores = np.concatenate(tables.column("score_in_context").values)
    assert np.isfinite(scores).all()
    assert (scores > -1e-6).all(), "a divergence is not negative"


def test_networks_that_ties_and_pins_exclude_teach_nothing() -> None:
    """The INT8 teacher breaks a pin to 4 bits and an untied network the tie: both are left out, others stay."""
    tables = generate_tables(3)
    problem = TableProblem(tables, ties=[["block0", "block1"]], pins={"block2": {"weight_bits": 4}})
    good = problem.space.sample(np.random.default_rng(0), 1)[0].tolist()
    untied = [*good]
    untied[0] = (good[0] + 1) % len(tables.blocks[0])
    assert _allowed(problem, good)
    assert not _allowed(problem, untied)
    assert not _allowed(problem, tables.baselines["teacher_int8"])


@pytest.mark.parametrize(
    ("maximize", "unit", "errors", "limits"),
    [
        (True, "%", [1.0 - 0.6, 1.0 - 0.9], (0.0, 1.0)),
        (True, "dB", [-0.6, -0.9], (-0.9, -0.6)),
        (False, "%", [0.6, 0.9], (0.6, 0.9)),
        (False, "", [0.6, 0.9], (0.6, 0.9)),
    ],
)
def test_errors_fall_as_metrics_improve(
    maximize: bool, unit: str, errors: list[float], limits: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Regression()
    monkeypatch.setattr(task, "maximize", maximize)
    monkeypatch.setattr(task, "unit", unit)
    measured = Measured(task=task)
    measured.add([[0], [1]], [0.6, 0.9])
    assert measured.values.tolist() == errors
    assert measured.range == limits
    assert [metric_of_error(task, error) for error in errors] == pytest.approx([0.6, 0.9])


def test_hypervolume_of_a_minimised_metric_lies_below_the_largest_error() -> None:
    """Two networks of 2 and 4 over the same range of sizes: 4 is the reference and adds nothing, 1 adds to 2."""
    tables = generate_tables(3)
    problem = TableProblem(tables, objectives=[CustomObjective(function=_unknown, name="error"), "size_bytes"])
    first, second, third = problem.space.sample(np.random.default_rng(1), 3).tolist()
    measured = Measured(task=Regression())
    measured.add([first, second], [2.0, 4.0])
    before = measured.copy()
    measured.add([third], [1.0])
    alone = Measured(task=Regression())
    alone.add([first], [2.0])
    assert measured.range == (1.0, 4.0)
    assert len(before.errors) == 2
    volumes = [_hypervolume(problem, some, measured.range) for some in (alone, before, measured)]
    assert 0.0 < volumes[0] == volumes[1] < volumes[2] <= 1.0
    # With `first` the error leaves two thirds of the range from 1 to 4; its size takes the same share as before.
    assert volumes[0] == pytest.approx(2 / 3 * _hypervolume(problem, alone, (2.0, 4.0)))


def test_cards_that_do_not_fit_are_refused() -> None:
    with pytest.raises(CardError, match="needs the section"):
        load_card("digits", changes=['predictor.score="score_in_context"'])
    with pytest.raises(CardError, match=r"further searches have one"):
        load_card("digits", changes=["searches.other.rounds=2"])
    with pytest.raises(CardError, match="rounds"):
        load_card("digits", changes=["search.rounds=0"])
