"""Readers of results: summary.json, random.json, comparison.json."""

import json
import shutil
from pathlib import Path
from typing import Any, final

from benchmarks.fuzzing.reader import Reader
from benchmarks.fuzzing.values import Rng, any_of, damaged_json
from evo_qnas.compare import compare, save_comparison
from evo_qnas.plots import plot
from evo_qnas.problem import TableProblem
from evo_qnas.report import write_report
from evo_qnas.tables.generate import generate_tables
from tests.plots.conftest import make_run


@final
class Summaries(Reader):
    """`summary.json` and `random.json` of a run folder."""

    name = "summary"

    def make_good(self, folder: Path) -> None:
        make_run(folder / "run")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        shutil.copytree(good / "run", case / "run")
        name = any_of(("summary.json", "summary.json", "networks/random.json"), rng)
        path = case / "run" / name
        path.write_bytes(damaged_json(json.loads(path.read_text(encoding="utf-8")), rng))
        return name

    def read(self, case: Path) -> None:
        write_report(case / "run", case / "a.html")
        if case.name[-1] in "05":
            plot(case / "run", case / "a.svg", kind="validation" if case.name[-1] == "0" else None)

    def command(self, case: Path) -> list[str]:
        kind: list[Any] = ["--kind", "validation"]
        if case.name[-1] in "05":
            return ["plot", str(case / "run"), "-o", str(case / "a.svg"), *kind]
        return ["report", str(case / "run"), "-o", str(case / "a.html")]


@final
class Comparisons(Reader):
    """`comparison.json` of a comparison folder."""

    name = "comparison"

    def make_good(self, folder: Path) -> None:
        problem = TableProblem(generate_tables(3, operators=2), objectives=["score", "size_bytes"])
        compared = compare({"six": problem}, ["nsga2", "random"], seeds=2, evaluations=40, progress=False)
        save_comparison(compared, folder / "compared")

    def damage(self, good: Path, case: Path, rng: Rng) -> str:
        (case / "compared").mkdir()
        content = json.loads((good / "compared" / "comparison.json").read_text(encoding="utf-8"))
        (case / "compared" / "comparison.json").write_bytes(damaged_json(content, rng))
        return "comparison.json"

    def read(self, case: Path) -> None:
        write_report(case / "compared", case / "a.html")

    def command(self, case: Path) -> list[str]:
        return ["report", str(case / "compared"), "-o", str(case / "a.html")]


RUN_READERS: tuple[Reader, ...] = (Summaries(), Comparisons())
