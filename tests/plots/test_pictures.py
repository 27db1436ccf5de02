"""Pictures: what is drawn is what the archive holds; files are of the format asked for and equal each time."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from typer.testing import CliRunner

from evo_qnas.archive import Archive
from evo_qnas.cli import app
from evo_qnas.errors import PictureError
from evo_qnas.pareto import certificate
from evo_qnas.plots import KINDS, load_subject, plot, subject_of
from evo_qnas.plots.blocks import draw_blocks
from evo_qnas.plots.convergence import draw_convergence, exact_volume
from evo_qnas.plots.front import draw_front
from evo_qnas.plots.parallel import draw_parallel
from evo_qnas.plots.validation import draw_validation
from evo_qnas.problem import Networks, TableProblem
from evo_qnas.search import search
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables
from tests.plots.conftest import make_run

Archives = dict[int, Path]
MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def labelled(panel: Axes, word: str) -> Collection:
    """The scatter of a panel whose label holds `word`."""
    return next(dots for dots in panel.collections if word in str(dots.get_label()))


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files_have_their_format_and_are_equal_each_time(archives: Archives, tmp_path: Path, ending: str) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for file in files:
        assert plot(archives[2], file) == "front"
    assert files[0].read_bytes().startswith(MAGIC[ending])
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize(("m", "kind"), [(1, "convergence"), (2, "front"), (3, "front"), (4, "parallel")])
def test_default_kind_fits_the_number_of_objectives(archives: Archives, tmp_path: Path, m: int, kind: str) -> None:
    assert plot(archives[m], tmp_path / "a.svg") == kind


def test_every_kind_is_drawn_from_a_run_folder(run_folder: Path, tmp_path: Path) -> None:
    for kind in KINDS:
        assert plot(run_folder, tmp_path / f"{kind}.svg", kind=kind) == kind
        assert b"made-up" in (tmp_path / f"{kind}.svg").read_bytes() or (tmp_path / f"{kind}.svg").stat().st_size > 5000


def test_two_objectives_show_front_baseline_exact_and_validated(run_folder: Path) -> None:
    subject = load_subject(run_folder)
    panel = draw_front(subject).axes[0]
    front = subject.archive.front.objectives[:, ::-1] / [1024.0, 1.0]
    np.testing.assert_allclose(labelled(panel, "front (").get_offsets(), front)
    np.testing.assert_allclose(labelled(panel, "validated").get_offsets(), front[[0, len(front) // 2, len(front) - 1]])
    tables = subject.tables
    assert tables is not None
    genome = np.array([tables.baselines["teacher_int8"]])
    expected = [tables.total("size_bytes", genome)[0] / 1024, tables.total("score", genome)[0]]
    np.testing.assert_allclose(labelled(panel, "teacher INT8").get_offsets()[0], expected)
    line = next(line for line in panel.lines if "exact" in str(line.get_label()))
    true = subject.exact()
    assert true is not None
    np.testing.assert_allclose(line.get_xydata()[::2], true[np.argsort(true[:, 1])][:, ::-1] / [1024.0, 1.0])


def test_three_objectives_show_each_pair_once(archives: Archives) -> None:
    subject = load_subject(archives[3])
    panels = draw_front(subject).axes[:3]
    scale = np.array([1.0, 1024.0, 1.0])
    for panel, pair, third in zip(panels, ([1, 0], [2, 0], [2, 1]), (2, 1, 0), strict=True):
        dots = next(dots for dots in panel.collections if dots.get_label() == "front")
        drawn = np.column_stack([dots.get_offsets(), dots.get_array()])
        values = (subject.archive.front.objectives / scale)[:, [*pair, third]]
        np.testing.assert_allclose(drawn[np.lexsort(drawn.T)], values[np.lexsort(values.T)])


def test_parallel_lines_run_from_best_at_the_bottom_to_worst(archives: Archives) -> None:
    subject = load_subject(archives[4])
    panel = draw_parallel(subject).axes[0]
    heights = np.array([segment[:, 1] for segment in panel.collections[0].get_segments()])
    assert heights.shape == subject.archive.front.objectives.shape
    np.testing.assert_array_equal(heights.argmin(axis=0), subject.archive.front.objectives.argmin(axis=0))
    assert heights.min() >= 0
    assert heights.max() <= 1


def test_maximised_objective_has_its_best_at_the_bottom_too() -> None:
    tables = Tables.from_arrays(
        {"accuracy": [np.array([1.0, 2.0, 3.0])], "size_bytes": [np.array([1.0, 2.0, 3.0])]},
        directions={"accuracy": "maximize"},
    )
    archive = search(TableProblem(tables, objectives=["accuracy", "size_bytes"]), algorithm="exact", evaluations=3)
    lines = draw_parallel(subject_of(archive)).axes[0].collections[0].get_segments()
    best = int(archive.front.objectives[:, 0].argmax())
    np.testing.assert_allclose(lines[best][:, 1], [0.0, 1.0])


def test_block_map_holds_the_bits_of_every_network(archives: Archives) -> None:
    subject = load_subject(archives[2])
    operator, weight, activation = (axes.images[0].get_array() for axes in draw_blocks(subject).axes[:3])
    tables = subject.tables
    assert tables is not None
    order = np.argsort(subject.archive.front.objectives[:, 1], kind="stable")
    networks = Networks(tables=tables, genomes=subject.archive.front.genomes[order])
    np.testing.assert_array_equal(np.array([2, 3, 4, 6, 8])[weight], networks.weight_bits.T)
    np.testing.assert_array_equal(np.array([4, 8])[activation], networks.activation_bits.T)
    heaviest = networks.operators.T == "teacher"
    np.testing.assert_array_equal(operator == operator.max(), heaviest)


def test_convergence_ends_at_the_share_of_the_exact_front(archives: Archives) -> None:
    subject = load_subject(archives[2])
    share = draw_convergence(subject).axes[0].lines[0].get_ydata()
    assert np.all(np.diff(share) >= 0)
    assert 0.9 < share[-1] <= 1.0
    volume = exact_volume(subject)
    assert volume is not None
    np.testing.assert_allclose(share[-1], subject.archive.history.hypervolume[-1] / volume)
    # Another scale and reference point, so the shares agree roughly; a share of the final front's would be 1.
    assert subject.problem is not None
    proof = certificate(subject.problem, subject.archive.front.objectives)
    assert abs(share[-1] - proof.share) < 0.02
    assert share[-1] < 1.0


def test_exact_algorithm_reaches_share_one(tmp_path: Path) -> None:
    problem = TableProblem(generate_tables(4, operators=3), objectives=["score", "size_bytes"])
    archive = search(problem, algorithm="exact", evaluations=10)
    share = draw_convergence(subject_of(archive)).axes[0].lines[0].get_ydata()
    assert share[-1] == pytest.approx(1.0, abs=1e-12)


def test_validation_shows_metric_before_and_after(run_folder: Path) -> None:
    subject = load_subject(run_folder)
    left, right = draw_validation(subject).axes
    assert subject.summary is not None
    networks = subject.summary["networks"]
    after = [100 * network["metric"] for network in networks]
    np.testing.assert_allclose(labelled(left, "after").get_offsets()[:, 1], after)
    sizes = [network["size_bytes"] / 1024 for network in networks]
    np.testing.assert_allclose(labelled(right, "after").get_offsets()[:, 0], sizes)
    np.testing.assert_allclose(labelled(left, "random").get_offsets()[:, 1], [50, 60, 55, 70, 65, 80])
    assert "0.71" in left.get_title(loc="left")


def test_a_metric_that_is_no_share_is_drawn_as_it_is(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    summary["metric"] = {"name": "RMSE", "maximize": False, "unit": "mm"}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    left, right = draw_validation(load_subject(folder)).axes
    after = [network["metric"] for network in summary["networks"]]
    np.testing.assert_allclose(labelled(left, "after").get_offsets()[:, 1], after)
    np.testing.assert_allclose(labelled(left, "random").get_offsets()[:, 1], [0.5, 0.6, 0.55, 0.7, 0.65, 0.8])
    assert right.get_ylabel() == "test RMSE, mm"


def test_drawing_leaves_no_global_figures(archives: Archives, tmp_path: Path) -> None:
    code = (
        "import sys; from evo_qnas.plots import plot; "
        f"plot({str(archives[2])!r}, {str(tmp_path / 'a.png')!r}); print('matplotlib.pyplot' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_functions_named_in_an_archive_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "strange_module.py").write_text("def peak(networks):\n    return networks.weight_bits.max(axis=1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    tables = generate_tables(4, operators=3)
    problem = TableProblem(tables, objectives=["score", "strange_module:peak"])
    search(problem, evaluations=50, population=10, path=tmp_path / "a.h5")
    sys.modules.pop("strange_module")
    subject = load_subject(tmp_path / "a.h5")
    assert plot(tmp_path / "a.h5", tmp_path / "a.svg") == "front"
    assert "strange_module" not in sys.modules
    assert subject.problem is None
    np.testing.assert_array_equal(np.isnan(subject.baselines["teacher_int8"]), [False, True])
    with pytest.raises(PictureError, match="without functions of your own"):
        plot(subject.archive, tmp_path / "b.svg", kind="gain")


def empty_front() -> Archive:
    """A search of one network that breaks its limit."""
    columns = {"score": [np.array([1.0, 2.0])], "size_bytes": [np.array([4.0, 2.0])]}
    problem = TableProblem(Tables.from_arrays(columns), constraints=["size_bytes <= 3"])
    archive = search(problem, algorithm="random", evaluations=1, population=1, seeding=False, seed=0)
    return (
        archive
        if not len(archive.front)
        else search(problem, algorithm="random", evaluations=1, population=1, seeding=False, seed=1)
    )


def test_errors_say_what_is_missing_and_what_to_do(archives: Archives, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"ends with .png, .svg or .pdf, not with .bmp"):
        plot(archives[2], tmp_path / "a.bmp")
    with pytest.raises(PictureError, match="--kind 'pie': there are front, parallel"):
        plot(archives[2], tmp_path / "a.png", kind="pie")
    with pytest.raises(PictureError, match="has 4: draw --kind parallel"):
        plot(archives[4], tmp_path / "a.png", kind="front")
    with pytest.raises(PictureError, match="has 1: draw --kind convergence"):
        plot(archives[1], tmp_path / "a.png", kind="front")
    with pytest.raises(PictureError, match="holds no validated networks: give the folder of a finished run"):
        plot(archives[2], tmp_path / "a.png", kind="validation")
    with pytest.raises(PictureError, match=r"--at 9999: the front of 2 has the rows 0 \.\. \d+"):
        plot(archives[2], tmp_path / "a.png", kind="gain", at=9999)
    with pytest.raises(PictureError, match=r"holds no archive\.h5"):
        plot(tmp_path, tmp_path / "a.png")
    with pytest.raises(PictureError, match="is empty: no evaluated network meets all limits"):
        plot(empty_front(), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON that can"),
        ("[1]", "must hold a JSON object, found list"),
        ('{"networks": [{}]}', "lacks"),
    ],
)
def test_a_broken_summary_is_named(tmp_path: Path, text: str, message: str) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "summary.json").write_text(text)
    with pytest.raises(PictureError, match=message):
        plot(folder, tmp_path / "a.png", kind="validation")


def test_random_networks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (folder / "networks" / "random.json").write_text('{"genomes": [[0, 0, 0, 0, 999]], "metric": [0.5]}')
    with pytest.raises(PictureError, match="does not fit the tables"):
        load_subject(folder)


def test_a_maximised_exact_front_is_in_its_own_direction() -> None:
    tables = Tables.from_arrays(
        {"accuracy": [np.array([1.0, 2.0])] * 2, "size_bytes": [np.array([1.0, 2.0])] * 2},
        directions={"accuracy": "maximize"},
    )
    problem = TableProblem(tables, objectives=["accuracy", "size_bytes"])
    true = replace(subject_of(search(problem, algorithm="exact", evaluations=4))).exact()
    assert true is not None
    assert sorted(true.tolist()) == [[2.0, 2.0], [3.0, 3.0], [4.0, 4.0]]


def test_command_line(archives: Archives, tmp_path: Path) -> None:
    target = tmp_path / "a.pdf"
    done = CliRunner().invoke(app, ["plot", str(archives[2]), "-o", str(target), "--kind", "gain", "--at", "0"])
    assert done.exit_code == 0, done.output
    assert target.read_bytes().startswith(b"%PDF")
