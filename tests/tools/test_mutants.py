"""The mutants of the trial: what is changed, what is left alone, and draws that other functions do not disturb."""

import ast
from pathlib import Path

from tests.tools.lowest import constraints
from tests.tools.mutants import changes_of, draw, functions

SOURCE = '''
def work(rows: list[int], size: int = 3) -> list[int]:
    """Text 5."""
    total: dict[int, int] = {}
    total[0] = 1
    if size < 2 and rows is not None:
        raise ValueError(f"{size + 1} is bad", 7)
    for row in rows:
        if row == 4:
            continue
    for one, two in zip(rows, rows, strict=True):
        total[one] += max(two, 1)
    print("näher", sum(rows, start=2))
    return sorted(rows, key=abs)
'''


def changes(source: str) -> set[tuple[str, str, str]]:
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.FunctionDef)
    return {(change.operator, ast.unparse(change.node), change.text) for change in changes_of(node)}


def test_every_kind_of_change_is_made() -> None:
    assert changes(SOURCE) == {
        ("removed statement", "total[0] = 1", "pass"),
        ("removed statement", "raise ValueError(f'{size + 1} is bad', 7)", "pass"),
        ("removed statement", "continue", "pass"),
        ("removed statement", "total[one] += max(two, 1)", "pass"),
        ("removed statement", "print('näher', sum(rows, start=2))", "pass"),
        ("returned argument", "return sorted(rows, key=abs)", "return rows"),
        ("negated condition", "size < 2 and rows is not None", "(not (size < 2 and rows is not None))"),
        ("negated condition", "row == 4", "(not (row == 4))"),
        ("and/or", "size < 2 and rows is not None", "(size < 2 or rows is not None)"),
        ("None guard", "rows is not None", "True"),
        ("comparison", "size < 2", "(size <= 2)"),
        ("comparison", "rows is not None", "(rows is None)"),
        ("comparison", "row == 4", "(row != 4)"),
        ("arithmetic", "total[one] += max(two, 1)", "total[one] -= max(two, 1)"),
        ("min/max", "max(two, 1)", "(min(two, 1))"),
        ("dropped keyword", "sum(rows, start=2)", "(sum(rows))"),
        ("dropped keyword", "sorted(rows, key=abs)", "(sorted(rows))"),
        *(("constant", "0", f"({value})") for value in (1, -1)),
        *(("constant", "1", f"({value})") for value in (2, 0)),
        *(("constant", "2", f"({value})") for value in (3, 1, 4)),
        *(("constant", "4", f"({value})") for value in (5, 3, 8)),
    }


def test_axes_and_booleans_are_turned() -> None:
    found = changes("def f(x):\n    return x.sum(axis=1, keepdims=True) + x.mean(dim=-1)\n")
    assert ("axis", "1", "0") in found
    assert ("axis", "-1", "0") in found
    assert ("boolean", "True", "False") in found


def written(tmp_path: Path, source: str) -> Path:
    folder = tmp_path / "evo_qnas" / "part"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.py").write_text(source, encoding="utf-8")
    return tmp_path


def test_a_mutant_is_the_file_with_one_statement_changed(tmp_path: Path) -> None:
    pool = functions(written(tmp_path, SOURCE), ["part"])
    mutants = list(draw(pool, 1000, 0))
    assert len(mutants) == len({mutant.key for mutant in mutants}) > 20
    for mutant in mutants:
        assert (mutant.path, mutant.part, mutant.function) == ("evo_qnas/part/work.py", "part", "work")
        changed = [a != b for a, b in zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True)]
        assert sum(changed) == 1
        assert mutant.lines[0] - 1 <= changed.index(True) <= mutant.lines[1] - 1
    nearer = next(mutant for mutant in mutants if mutant.after.endswith("sum(rows))"))
    assert 'print("näher", (sum(rows)))' in nearer.source


def test_draws_are_one_of_each_function_and_do_not_depend_on_others(tmp_path: Path) -> None:
    one, other = "def one(a):\n    return a + 1\n", "class A:\n    def other(self, b):\n        return b * 2\n"
    first = [m.key for m in draw(functions(written(tmp_path, one + other), ["part"]), 2, 7)]
    assert {key[1] for key in first} == {"one", "A.other"}
    again = [m.key for m in draw(functions(written(tmp_path, other.replace("2", "2 - b") + one), ["part"]), 2, 7)]
    assert [key for key in first if key[1] == "one"] == [key for key in again if key[1] == "one"]


def test_equal_changes_of_two_files_of_a_part_are_drawn_once(tmp_path: Path) -> None:
    source = "def one(a):\n    return a + 1\n"
    root = written(tmp_path, source)
    (tmp_path / "evo_qnas" / "part" / "other.py").write_text(source, encoding="utf-8")
    drawn = [mutant.key for mutant in draw(functions(root, ["part"]), 1000, 0)]
    assert len(drawn) == len(set(drawn)) == 3


def test_constraints_are_the_lowest_versions_of_what_is_asked_for() -> None:
    text = (
        '[project]\ndependencies = ["numpy>=2.1", "pymoo>=0.6.2,<0.7", "plain"]\n'
        '[project.optional-dependencies]\na = ["torch[x] >= 2.9"]\nb = ["other>=1"]\n'
    )
    assert constraints(text, ["a"]) == ["numpy==2.1", "pymoo==0.6.2", "torch==2.9"]
