"""The page of a comparison, from a document made up by hand."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from evo_qnas.errors import PictureError
from evo_qnas.report import write_report

DOCUMENT: dict[str, Any] = {
    "settings": {
        "problems": [{"name": "six", "about": "six <blocks>", "budget": 60}],
        "algorithms": [{"name": "nsga2", "is": "ours"}, {"name": "random", "is": None}],
        "seeds": [0, 1],
        "evaluations": 1060,
        "command": "evo-qnas compare six.h5",
        "against": None,
        "skipped": {"slow": "needs numba"},
    },
    "conclusions": ["nsga2 is better than random & nothing else"],
    "tables": {
        "medians": [{"problem": "six", "hypervolume_share": 0.5}],
        "statistics": [],
        "ranks": [{"algorithm": "nsga2", "rank": 1.0}],
        "results": [{"seed": seed} for seed in range(2001)],
    },
    "ranks": {"problems": 3, "critical_difference": 1.234},
    "references": {"six": "exact"},
    "curves": [],
}


def page(folder: Path, document: dict[str, Any]) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "comparison.json").write_text(json.dumps(document))
    return write_report(folder, folder / "page.html").read_text(encoding="utf-8")


def test_a_page_says_what_the_comparison_found(tmp_path: Path) -> None:
    html = page(tmp_path / "mine", DOCUMENT)
    for said in (
        "Comparison mine",
        "Algorithms: 2, problems: 1, seeds: 2, evaluations a run: 1,060.",
        "<p>nsga2 is better than random &amp; nothing else</p>",
        "six &lt;blocks&gt;",
        "Medians over the seeds",
        "hypervolume share",
        "Problems: 3. Ranks that differ by more than 1.23 differ at 5 % (Nemenyi).",
        "The first 2,000 of 2,001 rows; the CSV file has all.",
        "slow: needs numba",
        "every pair",
    ):
        assert said in html, said
    assert "Statistics per pair" not in html, "a table without rows is left out"


def test_one_problem_has_no_critical_difference(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["ranks"] = {"problems": 1, "critical_difference": None}
    document["tables"]["results"] = document["tables"]["results"][:2000]
    html = page(tmp_path / "one", document)
    assert "Nemenyi" not in html
    assert "The first 2,000" not in html


def test_a_document_that_lacks_its_curves_is_refused(tmp_path: Path) -> None:
    document = {key: value for key, value in DOCUMENT.items() if key != "curves"}
    with pytest.raises(PictureError, match=r"comparison\.json of bad lacks what a comparison writes: curves"):
        page(tmp_path / "bad", document)
    with pytest.raises(PictureError, match=r"is not there: give a run folder"):
        write_report(tmp_path / "none", tmp_path / "page.html")
