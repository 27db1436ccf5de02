"""Texts of strangers stay texts, in the file and in the browser; comparisons and broken folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evo_qnas.archive import Archive
from evo_qnas.cli import app
from evo_qnas.compare import compare, save_comparison
from evo_qnas.errors import PictureError
from evo_qnas.plots import subject_of
from evo_qnas.problem import TableProblem
from evo_qnas.report import write_report
from evo_qnas.report.content import MOST_NETWORKS, archive_content
from evo_qnas.report.markup import script_json
from evo_qnas.search import search
from evo_qnas.tables import Block, Tables
from evo_qnas.tables.generate import generate_tables
from tests.plots.conftest import make_run
from tests.plots.test_pictures import empty_front
from tests.report.test_page import severe, show, texts, wait

EVIL = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
FORMULA = '=HYPERLINK("evil")'


def evil_tables() -> Tables:
    """Tables whose every text tries to run."""
    rng = np.random.default_rng(0)
    blocks = [
        Block(
            name=f"{index} {EVIL}",
            operators=(EVIL, FORMULA, "<a href='javascript:1'>go</a>", "plain"),
            weight_bits=np.array([2, 4, 6, 8]),
            activation_bits=np.full(4, 8),
        )
        for index in range(3)
    ]
    columns = {
        "score": [np.sort(rng.random(4))[::-1] for _ in blocks],
        "size_bytes": [np.sort(rng.random(4)) for _ in blocks],
    }
    return Tables.from_arrays(
        columns,
        blocks=blocks,
        units={"score": "<i>u</i>", "size_bytes": EVIL},
        sources={"score": EVIL},
        baselines={"<b>base": [0, 0, 0]},
    )


def test_texts_of_strangers_do_not_run(browser: Any, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", name=EVIL)
    problem = TableProblem(evil_tables(), objectives=["score", "size_bytes"])
    archive = search(problem, evaluations=40, population=10)
    content = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    content["networks"][0] |= {"id": EVIL, "genome": archive.front.genomes[0].tolist()}
    content["networks"][0]["blocks"] = content["networks"][0]["blocks"][: len(archive.header.blocks)]
    content["metric"] |= {"name": EVIL, "unit": EVIL}
    content["versions"][EVIL] = EVIL
    (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "card.toml").write_text(EVIL, encoding="utf-8")
    archive.save(folder / "archive.h5")
    (folder / "networks" / "random.json").unlink()
    show(browser, write_report(folder, tmp_path / "evil.html"))
    assert severe(browser) == []
    browser.execute_script("document.querySelector('#table tbody button').click()")
    wait(browser, "document.querySelector('#unpin')")
    assert browser.execute_script("return window.hacked") is None
    own = 'img, iframe, a[href]:not([href^="#"]), script'  # sections are linked
    assert browser.execute_script("return document.querySelectorAll(arguments[0]).length", own) == 4
    assert texts(browser, "h1") == [EVIL]
    assert EVIL in texts(browser, "#network tbody td")[0]
    text = browser.execute_script("return csvText()")
    assert "=HYPERLINK" not in text.replace("'=HYPERLINK", "")


def test_no_text_ends_the_data_element() -> None:
    packed = script_json({"a": EVIL + "<!--\u2028"})
    assert not set("<>&\u2028") & set(packed)
    assert json.loads(packed) == {"a": EVIL + "<!--\u2028"}


def test_a_comparison_shows_curves_and_tables(browser: Any, tmp_path: Path) -> None:
    problem = TableProblem(generate_tables(4, operators=3), objectives=["score", "size_bytes"])
    compared = compare(problem, ["nsga2", "random"], seeds=3, evaluations=150, baseline=False)
    save_comparison(compared, tmp_path / "compared")
    show(browser, write_report(tmp_path / "compared", tmp_path / "compared.html"), width=360)
    assert severe(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    case = compared.cases[0].name
    for name in ("nsga2", "random"):
        drawn = browser.execute_script(
            "return document.getElementById('curve-chart').data.find((t) => t.name === arguments[0]).y", name
        )
        np.testing.assert_allclose(drawn, np.median(compared.curves(case, name)[1], axis=0), atol=1e-6)
    assert len(texts(browser, "#results tbody tr")) == 6
    assert texts(browser, "#conclusions p")[-1].startswith("With 3 seeds")


def test_a_broken_comparison_is_named(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"settings": {}}')
    with pytest.raises(PictureError, match=r"lacks what a comparison writes: settings\.problems: field required"):
        write_report(tmp_path, tmp_path / "a.html")


@pytest.mark.parametrize("networks", ["text", [1], [{"id": "a"}, 5]])
def test_a_broken_summary_is_named(tmp_path: Path, networks: Any) -> None:
    folder = make_run(tmp_path / "run")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    (folder / "summary.json").write_text(json.dumps(summary | {"networks": networks}), encoding="utf-8")
    with pytest.raises(PictureError, match=r"summary\.json of .* lacks what a run writes"):
        write_report(folder, tmp_path / "a.html")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="is not there: give a run folder, an archive or a comparison folder"):
        write_report(tmp_path / "nowhere", tmp_path / "a.html")
    with pytest.raises(PictureError, match=r"holds no archive\.h5"):
        write_report(tmp_path, tmp_path / "a.html")


def test_an_empty_front_says_so(browser: Any, tmp_path: Path) -> None:
    show(browser, write_report(empty_front(), tmp_path / "a.html"))
    assert severe(browser) == []
    assert "no front to show" in texts(browser, "header")[0]


@pytest.mark.parametrize("m", [1, 4])
def test_one_and_many_objectives(browser: Any, tmp_path: Path, m: int) -> None:
    names = ["score", "size_bytes", "latency_ms", "macs"][:m]
    archive = search(TableProblem(generate_tables(4, operators=3), objectives=names), evaluations=200, population=20)
    show(browser, write_report(archive, tmp_path / "a.html"))
    assert severe(browser) == []
    assert len(texts(browser, "#table tbody tr")) == min(len(archive.front), 50)


def test_a_problem_without_tables(browser: Any, tmp_path: Path) -> None:
    from pymoo.problems import get_problem

    from evo_qnas.problem import from_pymoo

    archive: Archive = search(from_pymoo(get_problem("zdt5"), vtype=bool), evaluations=200, population=20)
    show(browser, write_report(archive, tmp_path / "a.html"))
    assert severe(browser) == []
    assert browser.execute_script("return document.getElementById('blocks').hidden")


def test_large_fronts_are_thinned_with_their_ends_and_knee() -> None:
    problem = TableProblem(generate_tables(16, seed=1), objectives=["score", "size_bytes"])
    archive = search(problem, algorithm="exact", evaluations=10)
    assert len(archive.front) > MOST_NETWORKS
    content = archive_content(subject_of(archive))
    assert len(content["row"]) <= MOST_NETWORKS
    assert content["total"] == len(archive.front)
    assert content["row"][0] == 0
    assert content["row"][-1] == len(archive.front) - 1
    assert content["genome"][content["knee"]] == archive.knee().genomes[0].tolist()


def test_equal_sources_give_equal_pages(archive_file: Path, tmp_path: Path) -> None:
    pages = [write_report(archive_file, tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_command_line(archive_file: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["report", str(archive_file), "-o", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    assert "a.html: " in done.output
    assert (tmp_path / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
