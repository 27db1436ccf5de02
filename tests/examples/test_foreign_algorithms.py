"""Algorithms of other libraries, as the examples have them: in a search and in a comparison, under 30 lines each."""

import ast
import importlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evo_qnas as eq
from evo_qnas.tables.generate import generate_tables

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOREIGN = {
    "optuna": ("optuna_sampler", "OptunaSampler"),
    "ribs": ("pyribs_emitter", "PyribsEmitter"),
    "botorch": ("botorch_acquisition", "BotorchAcquisition"),
}


def foreign(library: str) -> Any:
    """The class of an example."""
    pytest.importorskip(library, reason=f"needs {library}")
    module, name = FOREIGN[library]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = importlib.import_module(f"examples.{module}")
    if library == "optuna":
        importlib.import_module("optuna").logging.set_verbosity(40)
    return getattr(found, name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("library", FOREIGN)
def test_it_searches_and_is_compared(library: str, tmp_path: Path) -> None:
    kind = foreign(library)
    tables = generate_tables(4, operators=2, weight_bits=(2, 4, 8), activation_bits=(8,))
    problem = eq.TableProblem(tables, ["score", "size_bytes"], constraints=["latency_ms <= 6"])
    archive = eq.search(problem, algorithm=kind, evaluations=40, population=5, progress=False)
    assert 0 < len(archive) <= 40
    assert len(archive.front)
    again = eq.search(problem, algorithm=kind, evaluations=40, population=5, progress=False)
    np.testing.assert_array_equal(archive.genomes, again.genomes)
    compared = eq.compare(
        problem,
        {"theirs": {"algorithm": kind, "population": 5}, "random": "random"},
        seeds=1,
        evaluations=30,
        path=tmp_path,
        progress=False,
    )
    assert not compared.failures


@pytest.mark.parametrize("library", FOREIGN)
def test_each_takes_under_thirty_lines(library: str) -> None:
    module, name = FOREIGN[library]
    tree = ast.parse((EXAMPLES / f"{module}.py").read_text(encoding="utf-8"))
    (kind,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    assert (kind.end_lineno or 0) - kind.lineno + 1 < 30
