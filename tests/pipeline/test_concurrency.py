"""Two runs in one folder, a run folder that moves, a clock that jumps, memory that ends."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.fuzzing.networks import CARD, write_data
from evo_qnas import cli
from evo_qnas.archive.locking import FOLDER_LOCK, sole_writer
from evo_qnas.data import caching
from evo_qnas.data.caching import make_arrays
from evo_qnas.errors import CardError
from evo_qnas.pipeline import latency, load_card, run_card
from evo_qnas.pipeline import run as run_module
from evo_qnas.pipeline.stages import Resources, RunState, Stage
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables


@pytest.fixture
def card(tmp_path: Path) -> Any:
    write_data(tmp_path / "data")
    (tmp_path / "card.toml").write_text(CARD)
    return load_card(str(tmp_path / "card.toml"))


class Moving(Stage):
    """A stage in whose course somebody moves the run folder."""

    name, about = "moving", "moves the folder"

    def fingerprint(self, context: Any) -> str:
        return "a"

    def run(self, context: Any, state: RunState, resources: Resources) -> RunState:
        context.folder.rename(context.folder.with_name("elsewhere"))
        return state


def test_two_runs_in_one_folder(tmp_path: Path, card: Any) -> None:
    with (
        sole_writer(tmp_path / "run", CardError),
        pytest.raises(
            CardError, match=rf"run is being written by process {os.getpid()} on .*give another folder with -o"
        ),
    ):
        run_card(*card, tmp_path / "run", jobs=1)
    # A card that is refused leaves no folder.
    assert not (tmp_path / "run").exists()


def test_two_measurements_in_one_folder(
    tmp_path: Path, card: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "card.toml").write_text((tmp_path / "card.toml").read_text())
    monkeypatch.setattr(latency, "check_measurable", lambda *_: None)
    monkeypatch.setattr("sys.argv", ["evo-qnas", "tables", "measure", str(folder)])
    with sole_writer(folder, CardError), pytest.raises(SystemExit, match=r"^2$"):
        cli.main()
    assert f"run is being written by process {os.getpid()} on " in capsys.readouterr().err
    with pytest.raises(SystemExit, match=r"^2$"):
        cli.main()
    assert "tables.h5" in capsys.readouterr().err
    assert not (folder / FOLDER_LOCK).exists()


def test_a_run_folder_that_moves(tmp_path: Path, card: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "stages_until", lambda _: (Moving(),))
    with pytest.raises(CardError, match="run was moved or removed while this process worked there"):
        run_card(*card, tmp_path / "run", jobs=1, device="cpu")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(run_module, "stages_until", lambda _: ())
    run_card(*card, tmp_path / "elsewhere", jobs=1, device="cpu")
    assert not (tmp_path / "elsewhere" / FOLDER_LOCK).exists()


@pytest.mark.parametrize("text", ["[]", "null", '{"teacher": "a"}', "[" * 100_000, '{"teacher": -1e400}', "{"])
def test_damaged_seconds_are_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / "seconds.json").write_text(text)
    clock = run_module._Clock(tmp_path / "seconds.json", lambda: None)
    assert clock.seconds == {}
    assert clock.time("teacher", lambda: 5) == 5
    assert list(clock.seconds) == ["teacher"]


@pytest.mark.parametrize("jump", [-1e9, 1e9])
def test_a_clock_that_jumps_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float) -> None:
    problem = TableProblem(generate_tables(4, operators=3))
    wanted = search(problem, evaluations=60, population=20, path=tmp_path / "a.h5", progress=False)
    right, calls = time.time, iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: right() + jump * (next(calls) % 2))
    found = search(problem, evaluations=60, population=20, path=tmp_path / "b.h5", progress=False)
    assert found.genomes.tobytes() == wanted.genomes.tobytes()
    assert found.objectives.tobytes() == wanted.objectives.tobytes()
    assert (found.evaluations.seconds >= 0).all()
    assert (found.evaluations.seconds < 1e6).all()


def test_a_clock_that_jumps_takes_no_file_from_a_process_that_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / f".train.pixels.npy.{os.getpid()}.part"
    dead = tmp_path / ".train.pixels.npy.999999999.part"
    odd = tmp_path / ".train.pixels.npy.x.part"
    for path in (ours, dead, odd):
        path.touch()
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 1e6)
    caching._sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == [ours]


def _item(index: int, marks: Path) -> tuple[np.ndarray, np.ndarray]:
    """An image; the first worker that is asked for one ends as the kernel ends it where memory is short."""
    mark = marks / "died"
    if os.getpid() != int((marks / "parent").read_text()) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return np.full((3, 8, 8), index % 256, dtype=np.uint8), np.zeros((8, 8), dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("cached", [False, True])
def test_a_worker_that_the_kernel_kills_costs_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, cached: bool
) -> None:
    import functools

    (tmp_path / "parent").write_text(str(os.getpid()))
    monkeypatch.setattr(caching, "_STARTING_SECONDS", 0.0)
    make = functools.partial(_item, marks=tmp_path)
    cache = tmp_path / "cache" if cached else None
    pixels, _ = make_arrays(make, range(100), (8, 8), cache=cache, name="a", label="images", jobs=2)
    assert (tmp_path / "died").exists()
    assert pixels[:, 0, 0, 0].tolist() == list(range(100))
    assert "a worker process died (no memory left?) while images were decoded" in caplog.text
