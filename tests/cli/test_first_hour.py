"""The command line as a newcomer tries it."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import evo_qnas as eq
from evo_qnas.cli import app
from evo_qnas.errors import CardError

COSTS = Path(eq.__file__).resolve().parent.parent / "examples" / "costs.csv"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive where a run has its own."""
    made = tmp_path_factory.mktemp("run")
    problem = eq.TableProblem(eq.Tables.from_csv(COSTS), ["score", "size_bytes"])
    eq.search(problem, evaluations=100, seed=0, path=made / "archive.h5", progress=False)
    return made


@pytest.mark.parametrize(("words", "says"), [(["--version"], f"evo-qnas {eq.__version__}\n"), ([], "Usage: ")])
def test_the_package_is_the_command_and_alone_shows_its_help(words: list[str], says: str) -> None:
    said = subprocess.run([sys.executable, "-m", "evo_qnas", *words], capture_output=True, text=True, check=True).stdout
    assert says in said


def test_front_takes_a_run_folder(folder: Path) -> None:
    of_folder, of_file = (
        CliRunner().invoke(app, ["front", str(p), "--format", "csv"]) for p in (folder, folder / "archive.h5")
    )
    assert of_folder.exit_code == 0
    assert of_folder.output == of_file.output


def test_a_report_lies_beside_its_source(folder: Path) -> None:
    assert CliRunner().invoke(app, ["report", str(folder / "archive.h5")]).exit_code == 0
    assert (folder / "archive.html").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("options", "name"), [([], "archive.png"), (["--kind", "convergence"], "archive.convergence.png")]
)
def test_a_picture_lies_beside_its_source(folder: Path, options: list[str], name: str) -> None:
    assert CliRunner().invoke(app, ["plot", str(folder / "archive.h5"), *options]).exit_code == 0
    assert (folder / name).is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["tables", "import", str(COSTS), "-o", "b.txt"],
            r"tables are HDF5 files, give a name that ends in \.h5",
        ),
        (["search", str(COSTS), "-o", "b.txt"], r"archives are HDF5 files, give a name that ends in \.h5"),
        (["run", "suite"], r"suite is a suite of problems to compare algorithms on, no run: evo-qnas compare suite"),
    ],
)
def test_what_is_meant_otherwise_is_refused(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CardError, match=says):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not (tmp_path / "b.txt").exists()


def test_help_names_no_types_of_python() -> None:
    waiting = [typer.main.get_command(app)]
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for parameter in command.params:
            assert parameter.metavar or not getattr(parameter, "multiple", False), (command.name, parameter.name)
