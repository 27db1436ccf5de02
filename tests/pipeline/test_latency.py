"""Latency tables of a small run: what is measured, what is written, resuming."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evo_qnas.errors import CardError, ProblemError
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.export.common.latency import Latency
from evo_qnas.networks.integer.memory import peak_memory
from evo_qnas.networks.quantization.quantize import Policy, quantize
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.cards.latency import LatencyCard
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.latency import check_measurable, export_blocks, measure_tables
from evo_qnas.pipeline.latency.calibration import random_genomes
from evo_qnas.pipeline.latency.measurement import START, Measurement
from evo_qnas.pipeline.latency.precision import INT8
from evo_qnas.pipeline.latency.units import timed_bits
from evo_qnas.pipeline.problems import problem_of
from evo_qnas.pipeline.stages.export import export_networks, float_latency
from evo_qnas.pipeline.stages.search import check_search
from evo_qnas.pipeline.stored import open_run
from evo_qnas.problem import TableProblem
from evo_qnas.tables import Tables
from evo_qnas.tables.measured import join_measured
from tests.pipeline.conftest import SMALL

pytest.importorskip("onnx", reason="needs the extra onnx: pip install 'evo-qnas[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra onnx: pip install 'evo-qnas[onnx]'")

LATENCY = [
    "latency.rounds=10",
    "latency.networks=4",
    "latency.held_out=1",
    'latency.devices=["cortex_m7"]',
    "quantization.weight_bits=[4,8]",
]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tables]:
    folder = tmp_path_factory.mktemp("run")
    name, card = load_card("digits", changes=[*SMALL, *LATENCY], seed=5)
    run_card(name, card, folder, jobs=1, until="latency")
    return folder, Tables.load(folder / "tables.h5")


def test_the_column_is_the_whole_network(measured: tuple[Path, Tables]) -> None:
    _, tables = measured
    column = tables.columns["latency_ms"]
    assert (column.unit, column.direction, column.combine) == ("ms", "minimize", "sum")
    assert column.stderr is not None
    details = dict(column.details)
    assert (details["networks"], details["held_out_networks"], details["rounds"]) == (4, 1, 10)
    assert details["model"] in {"affine", "proportional"}
    for key in ("left_out_error", "held_out_error", "plain_sum_error", "fixed_part_ms", "start_ms"):
        assert details[key] >= 0
    # The teacher's largest block was timed at every bit-width of the card.
    assert set(details["bits_ms"]) == {"4/8", "8/8", "8/4"}
    for word in ("ONNX Runtime", "INT8", "1 thread", "one image 1x8x8", "10 rounds", "one time per operator"):
        assert word in column.source
    whole = tables.total("latency_ms", np.array([tables.baselines["teacher_int8"]]))[0]
    assert 0 < whole < 100


def test_choices_of_one_time_share_it(measured: tuple[Path, Tables]) -> None:
    _, tables = measured
    for block, values in zip(tables.blocks, tables.columns["latency_ms"].values, strict=True):
        shared: dict[tuple[str, bool], set[float]] = {}
        for (operator, _, activation), value in zip(block.labels, values.tolist(), strict=True):
            shared.setdefault((operator, 0 < activation < 8), set()).add(value)
        assert all(len(found) == 1 for found in shared.values())
        assert all(max(found) > 0 for (operator, _), found in shared.items() if operator != "identity")
        assert shared.get(("identity", False), {0.0}) == {0.0}


def test_the_peak_of_tables_is_that_of_built_networks(measured: tuple[Path, Tables]) -> None:
    folder, tables = measured
    context = open_run(folder)
    column = tables.columns["peak_memory_bytes"]
    assert (column.combine, column.unit) == ("max", "bytes")
    genomes = np.stack([np.zeros(2, dtype=np.int64), tables.choices - 1, np.array(tables.baselines["teacher_int8"])])
    for genome, peak in zip(genomes.tolist(), tables.total("peak_memory_bytes", genomes), strict=True):
        modules = {
            block.name: context.candidates.trained(block.name, block.operators[value])
            for block, value in zip(tables.blocks, genome, strict=True)
        }
        network = quantize(assemble(context.teacher, modules), context.example, Policy(fixed=context.fixed_bits))
        assert peak == peak_memory(network)


def test_a_model_of_a_device_says_that_it_is_one(measured: tuple[Path, Tables]) -> None:
    _, tables = measured
    column = tables.columns["latency_model_ms@cortex_m7"]
    assert "roofline model" in column.source
    assert "nothing measured" in column.source
    assert column.fixed > 0
    assert all((values > 0).sum() >= len(values) - 1 for values in column.values)
    problem = TableProblem(tables, ["score", "worst:latency_model_ms", "peak_memory_bytes"])
    assert len(problem.objectives) == 3


def test_blocks_go_to_a_device_and_its_times_come_back(measured: tuple[Path, Tables], tmp_path: Path) -> None:
    """The device is this machine: the script runs in a process of its own, with numpy and onnxruntime alone."""
    folder, tables = measured
    assert export_blocks(open_run(folder), tables, tmp_path / "blocks", jobs=1) == 9
    assert "evo_qnas" not in "".join(
        line for line in (tmp_path / "blocks" / "measure_blocks.py").read_text().splitlines() if "import" in line
    )
    script = tmp_path / "blocks" / "measure_blocks.py"
    command = [sys.executable, "-I", str(script), "--device", "here", "--rounds", "10"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    (tmp_path / "here.csv").write_text(found.stdout)
    joined, names = join_measured(tables, tmp_path / "here.csv")
    assert names == ("latency_ms@here",)
    column = joined.columns["latency_ms@here"]
    assert column.fixed > 0
    for block, values in zip(joined.blocks, column.values, strict=True):
        assert all((value > 0) == (label[0] != "identity") for label, value in zip(block.labels, values, strict=True))


def test_measured_tables_are_kept(measured: tuple[Path, Tables]) -> None:
    folder, tables = measured
    context = open_run(folder)
    rounds = folder / "latency" / "rounds.jsonl"
    before = rounds.stat().st_mtime_ns
    again = measure_tables(context, Tables.load(folder / "tables.h5"), context.card.latency, jobs=1)
    assert again.columns["latency_ms"].values[0].tolist() == tables.columns["latency_ms"].values[0].tolist()
    # Without the stamp everything measured is still there: the same numbers come out.
    (folder / "latency" / "latency.json").unlink()
    again = measure_tables(context, Tables.load(folder / "tables.h5"), context.card.latency, jobs=1)
    assert again.columns["latency_ms"].values[0].tolist() == tables.columns["latency_ms"].values[0].tolist()
    assert rounds.stat().st_mtime_ns == before
    assert len(rounds.read_text().splitlines()) == 11
    assert json.loads(rounds.read_text().splitlines()[0])["names"][0] == "start"


def test_tables_under_a_search_are_not_changed(measured: tuple[Path, Tables], tmp_path: Path) -> None:
    context = open_run(measured[0])
    check_measurable(context, None)
    here = RunContext(name="x", card=context.card, folder=tmp_path)
    (tmp_path / "archive.h5").write_bytes(b"")
    check_measurable(here, tmp_path / "other.h5")
    with pytest.raises(CardError, match=r"holds a search over its tables\.h5: give -o FILE"):
        check_measurable(here, None)


def small_place(folder: Path, *changes: str) -> RunContext:
    name, card = load_card("digits", changes=[*SMALL, *changes], seed=5)
    return RunContext(name=name, card=card, folder=folder)


def test_a_card_may_search_int8_networks_by_latency(measured: tuple[Path, Tables], tmp_path: Path) -> None:
    changes = [
        *LATENCY,
        'search.objectives=["score","latency_ms"]',
        'search.pins={"*"={weight_bits=8,activation_bits=8},"stages.0"={operator=["teacher"]}}',
    ]
    context = small_place(tmp_path, *changes)
    check_search(context)
    tables = measured[1]
    problem = problem_of(context, tables)
    for genome in problem.space.sample(np.random.default_rng(0), 20).tolist():
        labels = [block.labels[value] for block, value in zip(tables.blocks, genome, strict=True)]
        assert labels[0] == ("teacher", 8, 8)
        assert labels[1] in {("teacher", 8, 8), ("ds_k3_d1", 8, 8), ("identity", 0, 0)}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (['search.objectives=["score","latency_ms"]'], "no column 'latency_ms'"),
        ([*LATENCY, 'search.pins={"stages.0"={operator="none"}}'], "block 'stages.0' has no choice left"),
        ([*LATENCY, 'search.ties=[["stages.0","stages.7"]]'], "names 'stages.7'"),
        ([*LATENCY, 'search.pins={"*"={bits=8}}'], "'bits' cannot be pinned"),
    ],
    ids=["unmeasured", "pin", "tie", "key"],
)
def test_a_search_that_cannot_be_is_refused_before_training(changes: list[str], text: str, tmp_path: Path) -> None:
    with pytest.raises(ProblemError, match=text):
        check_search(small_place(tmp_path, *changes))


def test_networks_to_calibrate_on_differ_and_spread(measured: tuple[Path, Tables]) -> None:
    tables = measured[1]
    drawn = random_genomes(tables, 12, np.random.default_rng(0))
    assert len({tuple(genome) for genome in drawn.tolist()}) == len(drawn) == 12
    assert (drawn >= 0).all()
    assert (drawn < tables.choices).all()
    # More cannot be asked for than there are networks.
    everything = int(tables.choices.prod())
    assert len(random_genomes(tables, everything + 5, np.random.default_rng(0))) <= everything


def few(measured: tuple[Path, Tables], count: int, monkeypatch: pytest.MonkeyPatch) -> Measurement:
    """A measurement where there are so few networks; one millisecond more for each unit."""
    context, tables = open_run(measured[0]), measured[1]
    genomes = random_genomes(tables, count, np.random.default_rng(0))
    monkeypatch.setattr(Measurement, "genomes", lambda self: genomes)
    settings = context.card.latency
    assert settings is not None
    return Measurement(
        context=context, tables=tables, settings=settings.model_copy(update={"networks": 4, "held_out": 12})
    )


def test_where_there_are_few_networks_fewer_are_held_out(
    measured: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = few(measured, 5, monkeypatch)
    times = {
        name: Latency(milliseconds=0.5 + number, spread=0.0, rounds=10)
        for number, name in enumerate([START, *session.units(INT8)])
    }
    details = session.column(measured[1], INT8, times).column(INT8.column).details
    assert (details["networks"], details["held_out_networks"]) == (4, 1)


def test_too_few_networks_are_refused_before_they_are_measured(
    measured: tuple[Path, Tables], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    session = few(measured, 3, monkeypatch)
    with pytest.raises(CardError, match=r"calibrated on at least 4 networks, and the candidates make 3: add operators"):
        measure_tables(session.context, session.tables, session.settings, jobs=1, output=tmp_path / "out.h5")


def test_activations_are_timed_at_eight_and_at_the_fewest_bits(measured: tuple[Path, Tables]) -> None:
    found = timed_bits(measured[1].blocks[1])
    assert found["teacher", 4, 8] == (8, 8)
    assert found["teacher", 8, 4] == (8, 4)
    assert found["identity", 0, 0] == (8, 8)


def test_defaults_measure_enough_for_a_factor_per_block() -> None:
    assert LatencyCard().networks >= 40
    assert LatencyCard().rounds >= 60


def test_the_float_teacher_is_timed_beside_the_networks(measured: tuple[Path, Tables], tmp_path: Path) -> None:
    context = open_run(measured[0])
    here = RunContext(name="x", card=context.card, folder=tmp_path)
    assert float_latency(here) is None
    shutil.copy(measured[0] / "teacher.safetensors", tmp_path / "teacher.safetensors")
    export_networks(here, [], jobs=1)
    found = float_latency(here)
    assert found is not None
    assert found > 0
    assert (tmp_path / "networks" / "teacher_float.onnx").is_file()
