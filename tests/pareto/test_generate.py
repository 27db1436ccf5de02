import numpy as np
import pytest

from evo_qnas.errors import TableError
from evo_qnas.pareto import exact_front
from evo_qnas.problem import TableProblem
from evo_qnas.tables.generate import generate_tables


def test_tables_are_what_was_asked_for() -> None:
    tables = generate_tables(4, operators=3, weight_bits=(2, 8), activation_bits=(8,), seed=5)
    assert tables.choices.tolist() == [6] * 4
    assert tables.blocks[0].labels[:3] == [("teacher", 2, 8), ("teacher", 8, 8), ("operator1", 2, 8)]
    assert tables.blocks[0].labels[tables.baselines["teacher_int8"][0]] == ("teacher", 8, 8)
    again = generate_tables(4, operators=3, weight_bits=(2, 8), activation_bits=(8,), seed=5)
    other = generate_tables(4, operators=3, weight_bits=(2, 8), activation_bits=(8,), seed=6)
    for name, column in tables.columns.items():
        assert all(np.array_equal(a, b) for a, b in zip(column.values, again.columns[name].values, strict=True))
        assert not np.array_equal(column.values[0], other.columns[name].values[0])


def test_the_columns_are_realistic() -> None:
    tables = generate_tables(20, seed=3)
    assert tables.choices.tolist() == [120] * 20
    for index, block in enumerate(tables.blocks):
        values = {name: column.values[index] for name, column in tables.columns.items()}
        assert all((part > 0.0).all() and np.isfinite(part).all() for part in values.values())
        teacher = np.array(block.operators) == "teacher"
        eight = block.activation_bits == 8
        score, bits = values["score"][teacher & eight], block.weight_bits[teacher & eight]
        assert (np.diff(score[np.argsort(bits)])[:3] < 0.0).all(), "fewer bits score worse"
        assert (np.diff(values["size_bytes"][teacher & eight][np.argsort(bits)]) > 0.0).all()
        last = np.array(block.operators) == "operator11"
        assert values["macs"][last].max() < values["macs"][teacher].min()
        assert values["score"][last & (block.weight_bits == 8)].min() > values["score"][teacher].min()


# Golden: about as many points as the tables that published figures refer to (1,449, 5,529, 31,878 and 39,932).
@pytest.mark.parametrize(("blocks", "points"), [(8, 1352), (20, 6498), (50, 28346)])
def test_two_objective_fronts_have_the_usual_size(blocks: int, points: int) -> None:
    problem = TableProblem(generate_tables(blocks), objectives=["score", "size_bytes"])
    assert len(exact_front(problem).objectives) == points


def test_nothing_is_refused() -> None:
    with pytest.raises(TableError, match="at least one block, operator"):
        generate_tables(0)
