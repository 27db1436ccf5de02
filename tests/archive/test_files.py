"""The documented layout, the command line, and the two scripts that torment archives, in small."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evo_qnas.archive import Archive, Evaluations, Header, Recorder, header
from evo_qnas.cli import main

Batches = Callable[..., list[Evaluations]]
Command = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path, header: Header, batches: Batches) -> Path:
    place = tmp_path / "archive.h5"
    with Recorder.open(place, header) as recorder:
        for batch in batches():
            recorder.append(batch)
        recorder.finish()
    return place


@pytest.fixture
def evo_qnas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process; exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evo-qnas", *arguments])
        with pytest.raises(SystemExit, match=r"\d") as caught:
            main()
        found = capsys.readouterr()
        return int(str(caught.value.code)), found.out, found.err

    return run


def test_the_example_of_the_layout_runs(path: Path) -> None:
    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example
    assert len(example[1].splitlines()) == 6
    done = subprocess.run(
        [sys.executable, "-c", example[1]], cwd=path.parent, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    archive = Archive.load(path)
    assert lines[0] == "random 60 evaluations"
    assert len(lines) == 1 + len(archive.front)
    assert str(float(archive.front.objectives[0, 1])) in lines[1]


def test_the_layout_names_every_dataset(path: Path) -> None:
    import h5py

    text = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    with h5py.File(path) as file:
        for group in ("evaluations", "front", "history"):
            for name in file[group]:
                assert re.search(rf"/{group}/[^|]*\b{name}\b", text), f"/{group}/{name} is not documented"
        for name in file.attrs:
            assert f"`{name}`" in text


def test_front_prints_what_was_asked(path: Path, evo_qnas: Command) -> None:
    archive = Archive.load(path)
    assert evo_qnas("front", str(path), "--format", "csv") == (0, archive.front.to_csv(), "")
    chosen = archive.select("latency_ms <= 1.7").to_json()
    assert evo_qnas("front", str(path), "--format", "json", "--constraint", "latency_ms <= 1.7") == (0, chosen, "")
    code, out, err = evo_qnas("front", str(path))
    assert code == 0
    assert f"{len(archive.front)} networks of 60 evaluated with random" in err
    assert "speed [1/s] (max)" in out
    assert len(out.splitlines()) == len(archive.front) + 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--constraint", "latency_ms <= 0"], "none of 60 evaluated networks meets latency_ms <= 0"),
        (["--constraint", "weight <= 1"], "no column 'weight'"),
    ],
)
def test_front_refuses_in_one_sentence(path: Path, evo_qnas: Command, arguments: list[str], text: str) -> None:
    code, out, err = evo_qnas("front", str(path), *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("evo-qnas: ")
    assert len(err.splitlines()) == 1
    assert text in err


def test_a_second_process_is_refused(path: Path, header: Header) -> None:
    code = (
        "import sys; from evo_qnas.archive import Archive; from evo_qnas.errors import ArchiveError\n"
        "try: Archive.load(sys.argv[1]).add_validation()\n"
        "except ArchiveError as error: print(error)"
    )
    grown = replace(header, settings={"evaluations": 90, "population": 10})
    with Recorder.open(path, grown):
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert f"is being written by process {os.getpid()} on " in done.stdout
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == ""


@pytest.mark.slow
def test_damaged_files_open_or_are_refused() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz_files.py"), "--files", "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_killed_searches_end_like_unbroken_ones() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "kill_archive.py"), "--kills", "12", "--evaluations", "400"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_few_damaged_files_and_a_kill() -> None:
    fuzz = [sys.executable, str(ROOT / "benchmarks" / "fuzz_files.py"), "--files", "24"]
    done = subprocess.run(fuzz, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    kill = [sys.executable, str(ROOT / "benchmarks" / "kill_archive.py"), "--kills", "1", "--evaluations", "300"]
    done = subprocess.run([*kill, "--algorithm", "nsga2"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_long_values_are_shortened_beyond_120_characters() -> None:
    assert header._short("a" * 120) == "a" * 120
    assert header._short("a" * 121) == "a" * 117 + "..."
