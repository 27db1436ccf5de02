"""Units that names state: one table for tables, files, objectives and checks."""

from pathlib import Path

import numpy as np
import pytest

from evo_qnas.problem import LookupProblem, Networks, TableProblem, objective
from evo_qnas.tables import Tables, unit_of
from evo_qnas.tables.units import UNITS


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("memory_mb", "MB"),
        ("memory_kib", "KiB"),
        ("Memory_MB", "MB"),
        ("latency_ms", "ms"),
        ("latency_us@esp32", "us"),
        ("energy_mj@pi4", "mJ"),
        ("size_bytes", "bytes"),
        ("size_mb@a_ms", "MB"),
        ("score", "1"),
        ("params", "1"),
        ("ms", "1"),
        ("_ms", "1"),
        ("items", "1"),
    ],
)
def test_the_ending_of_a_name_states_its_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_no_spelling_belongs_to_two_units() -> None:
    spellings = [spelling for several in UNITS.values() for spelling in several]
    assert len(set(spellings)) == len(spellings)


def test_every_reader_takes_the_unit_from_the_name_and_no_check_warns(tmp_path: Path) -> None:
    path = tmp_path / "tables.csv"
    path.write_text("block,operator,weight_bits,activation_bits,memory_mb\na,x,4,8,1.5\na,y,8,8,2\n", encoding="utf-8")
    values = [np.array([1.5, 2.0])]
    arrays = Tables.from_arrays({"memory_mb": values})
    for tables in (Tables.from_csv(path), arrays, arrays.with_column("memory_mb", values)):
        assert tables.column("memory_mb").unit == "MB"
        assert [finding.rule for finding in tables.check() if finding.rule == "unit"] == []
        assert TableProblem(tables, ["memory_mb"]).objectives[0].unit == "MB"
    assert Tables.from_arrays({"memory_mb": values}, units={"memory_mb": "GB"}).column("memory_mb").unit == "GB"


def test_objectives_of_functions_and_look_ups_take_it_from_the_name_too() -> None:
    @objective
    def peak_memory_kib(networks: Networks) -> np.ndarray:
        return np.zeros(len(networks))

    assert peak_memory_kib.unit == "KiB"
    assert objective(unit="s")(lambda networks: np.zeros(len(networks))).unit == "s"
    problem = LookupProblem(np.array([[0], [1]]), {"latency_ms": np.array([1.0, 2.0])})
    assert problem.objectives[0].unit == "ms"
