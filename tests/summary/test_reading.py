"""Damaged files of runs and comparisons: one sentence that names the value, in the reader, in pages and in pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evo_qnas.errors import PictureError
from evo_qnas.plots import load_subject, plot
from evo_qnas.report import write_report
from evo_qnas.summary import RunSummary, read_comparison, read_random, read_summary
from tests.plots.conftest import make_run
from tests.report.test_comparison import DOCUMENT
from tests.summary.test_references import FILES

Damage = Callable[[Any], Any]
DAMAGES: dict[str, Any] = {
    "a text": "0.9",
    "null": None,
    "a list": [1],
    "an object": {"a": 1},
    "NaN": float("nan"),
    "infinity": float("inf"),
    "10^30": 10**30,
    "1e300": 1e300,
    "half a character": "\ud800",
    "true": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("damaged") / "run")


def put(value: Any, keys: tuple[Any, ...], damage: Any) -> Any:
    """A copy of a JSON value with something else at one place."""
    copied = json.loads(json.dumps(value))
    here = copied
    for key in keys[:-1]:
        here = here[key]
    here[keys[-1]] = damage
    return copied


def read_back(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_references_are_read(path: Path) -> None:
    summary = read_summary(path)
    assert isinstance(summary, RunSummary)
    assert summary.to_dict() == read_back(path.parent, path.name)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "keys",
    [
        ("networks", 0, "metric"),
        ("networks", 0, "size_bytes"),
        ("networks", 0, "genome"),
        ("networks", 0, "genome", 0),
        ("networks", 0, "predicted", "score"),
        ("teacher_float", "metric"),
        ("teacher_int8", "size_bytes"),
        ("rank_correlation", "networks"),
        ("metric", "unit"),
        ("seed",),
        ("search",),
        ("rounds",),
    ],
)
def test_damaged_summaries(folder: Path, tmp_path: Path, keys: tuple[Any, ...], damage: str) -> None:
    """Each place takes only what belongs there; what is accepted is what a run could have written."""
    good = read_back(folder, "summary.json")
    text = json.dumps(put(good, keys, DAMAGES[damage]))
    path = tmp_path / "run" / "summary.json"
    path.parent.mkdir()
    path.write_text(text)
    if keys[-1] == "unit" and damage == "a text":
        assert read_summary(path) is not None
        return
    with pytest.raises(PictureError, match=r"summary\.json (of run lacks what a run writes|is no JSON)") as caught:
        read_summary(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"rank_correlation": {"kendall_tau": 0.5, "networks": 3, "low": None, "high": 1.0}}, "needs the ends of its"),
        ({"rounds": [{"round": 1}]}, r"rounds\.0\.predictor: field required"),
        ({"extra": 1}, "extra: extra inputs are not permitted"),
        ({"networks": [{}]}, r"networks\.0\.id: field required"),
    ],
)
def test_summaries_whose_parts_do_not_fit(folder: Path, tmp_path: Path, change: dict[str, Any], match: str) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(read_back(folder, "summary.json") | change))
    with pytest.raises(PictureError, match=match):
        read_summary(tmp_path / "summary.json")


def test_an_entry_of_a_runtime_with_text_for_a_number(folder: Path, tmp_path: Path) -> None:
    good = read_back(folder, "summary.json")
    (tmp_path / "summary.json").write_text(json.dumps(put(good, ("networks", 0, "onnx"), {"metric": "a"})))
    with pytest.raises(PictureError, match=r"networks\.0\.onnx\.metric: a number is needed"):
        read_summary(tmp_path / "summary.json")


@pytest.mark.parametrize(
    "content",
    [
        {"genomes": [[0, 1], [0]], "metric": [0.5, 0.6]},
        {"genomes": [[0, 1]], "metric": [0.5, 0.6]},
        {"genomes": [[0, 1.5]], "metric": [0.5]},
        {"genomes": [["0", 1]], "metric": [0.5]},
        {"genomes": [[0, 10**30]], "metric": [0.5]},
        {"genomes": [[0, 1]], "metric": ["0.5"]},
        {"genomes": [[0, 1]], "metric": [None]},
        {"genomes": [[0, 1]], "metric": [float("nan")]},
        {"genomes": None, "metric": None},
        {},
    ],
)
def test_damaged_random_networks(folder: Path, tmp_path: Path, content: Any) -> None:
    (tmp_path / "random.json").write_text(json.dumps(content))
    with pytest.raises(PictureError, match=r"random\.json (of .* lacks what a run writes|is no JSON)"):
        read_random(tmp_path / "random.json")
    run = make_run(tmp_path / "run")
    (run / "networks" / "random.json").write_text(json.dumps(content))
    with pytest.raises(PictureError, match=r"random\.json (of .* lacks what a run writes|is no JSON)"):
        load_subject(run)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(
    "keys",
    [
        ("settings", "evaluations"),
        ("settings", "seeds"),
        ("settings", "seeds", 0),
        ("settings", "problems", 0, "budget"),
        ("settings", "algorithms", 0, "name"),
        ("tables", "medians"),
        ("ranks", "critical_difference"),
        ("conclusions",),
        ("references", "six"),
        ("curves",),
    ],
)
def test_damaged_comparisons(tmp_path: Path, keys: tuple[Any, ...], damage: str) -> None:
    optional = {("settings", "problems", 0, "budget"), ("ranks", "critical_difference")}
    texts = {("settings", "algorithms", 0, "name"), ("references", "six")}
    lists = {("settings", "seeds")}
    (tmp_path / "comparison.json").write_text(json.dumps(put(DOCUMENT, keys, DAMAGES[damage])))
    right = (
        (keys in optional and damage == "null")
        or (keys in texts and damage == "a text")
        or (keys in lists and damage == "a list")
    )
    if right:
        assert read_comparison(tmp_path / "comparison.json") is not None
        return
    with pytest.raises(PictureError, match=r"comparison\.json (of .* lacks what a comparison writes|is no JSON)"):
        write_report(tmp_path, tmp_path / "page.html")


def test_a_curve_whose_parts_are_ragged(tmp_path: Path) -> None:
    curve = {"problem": "six", "algorithm": "nsga2", "evaluations": [1, 2], "lower_quartile": [0.1], "median": [0.2]}
    content = DOCUMENT | {"curves": [curve | {"upper_quartile": [0.3]}]}
    (tmp_path / "comparison.json").write_text(json.dumps(content))
    with pytest.raises(PictureError, match=r"curves\.0: value error, lower_quartile and evaluations must be of one"):
        write_report(tmp_path, tmp_path / "page.html")


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 6000, "", "[]", "\x00"])
def test_files_that_are_no_summary(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path / "run")
    (run / "summary.json").write_text(text)
    for show in (lambda: write_report(run, tmp_path / "a.html"), lambda: plot(run, tmp_path / "a.png")):
        with pytest.raises(PictureError, match=r"summary\.json (is no JSON|must hold a JSON object)"):
            show()


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert read_summary(tmp_path / "summary.json") is None
    assert read_random(tmp_path / "random.json") is None
    assert read_comparison(tmp_path / "comparison.json") is None
