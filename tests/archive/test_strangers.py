"""Archives of strangers: whatever names they hold, opening them imports nothing."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from evo_qnas.archive import Archive, Evaluations, Header, Recorder, strangers
from evo_qnas.errors import ArchiveError, EvoQnasError, ProblemError
from evo_qnas.plots.subject import load_subject
from evo_qnas.problem import ConstraintInfo, ObjectiveInfo, TableProblem
from evo_qnas.report import write_report
from evo_qnas.tables import Tables

MODULES = [
    "max",
    "mean",
    "sum",
    "worst",
    "distinct",
    "hostile",
    "hostile.part",
    "score",
    "size_bytes",
    "distinct(hostile",
]
NAMES = [
    form.format(space=space, module=module)
    for module, form, space in product(
        MODULES,
        [
            "{space}{module}:hostile",
            "{module}{space}:{space}score",
            "{space}{module}:hostile{space}<= 3",
            "{module}:hostile.f:g",
        ],
        ["", " ", "\t", "\n", "\u00a0"],
    )
]


class Watch:
    """An import hook that notes which of the hostile modules are asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:
        if name.strip() in MODULES:
            self.asked.append(name)


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Importable modules of the hostile names, and the hook in front of them."""
    for module in MODULES:
        (tmp_path / f"{module}.py").write_text("def score(networks): raise SystemExit\nhostile = score\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    hook = Watch()
    monkeypatch.setattr(sys, "meta_path", [hook, *sys.meta_path])
    yield hook
    for module in MODULES:
        sys.modules.pop(module, None)


def stranger(path: Path, header: Header, names: Sequence[str]) -> Archive:
    """An archive with the names as objectives and limits, in its data and its description."""
    forged = replace(
        header,
        problem={"objectives": [*names], "constraints": [*names], "functions": {names[-1]: {}}},
        objectives=tuple(ObjectiveInfo(name=name) for name in names),
        constraints=tuple(ConstraintInfo(name=name) for name in names),
    )
    values = np.ones((4, len(names))) * [[1], [2], [3], [4]]
    with Recorder.open(path, forged) as recorder:
        recorder.append(Evaluations.ok(np.eye(4, dtype=np.int64), values, np.zeros_like(values)))
        recorder.finish()
    return Archive.load(path)


def test_200_hostile_names_are_data(tmp_path: Path, header: Header, watch: Watch) -> None:
    assert len(NAMES) == 200
    for number in range(0, 200, 20):
        names, path = NAMES[number : number + 20], tmp_path / f"{number}.h5"
        archive = stranger(path, header, names)
        assert [info.name for info in archive.header.objectives] == names
        assert archive.objectives[:, 0].tolist() == [1, 2, 3, 4]
        assert len(archive.front) == 1
        assert archive.front.to_json()
        assert not archive.to_dataframe().empty
        with pytest.raises(ArchiveError, match=r"has functions, which are not run"):
            _ = archive.problem
        for name in names:
            with suppress(EvoQnasError):
                archive.select(f"{name} <= 3")
            archive.select(best=name)
        assert load_subject(path).problem is None
        write_report(path, tmp_path / "page.html")
    assert watch.asked == []


def test_200_hostile_descriptions_import_nothing(header: Header, tables: Tables, watch: Watch) -> None:
    for name in NAMES:
        for part in ("objectives", "constraints", "functions"):
            description = {"objectives": ["score", "speed"], part: {name: {}} if part == "functions" else [name]}
            archive = Recorder.open(None, replace(header, problem=description)).finish()
            with suppress(EvoQnasError):
                _ = archive.problem
            with suppress(EvoQnasError):
                TableProblem.from_description(tables, description)
    assert watch.asked == []


def test_a_trusted_archive_imports(tmp_path: Path, header: Header, watch: Watch) -> None:
    archive = stranger(tmp_path / "a.h5", header, ["hostile:score"])
    with pytest.raises(ArchiveError, match=r"has functions, which are not run.*\(hostile:score\)"):
        _ = archive.problem
    assert watch.asked == []
    assert archive.trusted_problem().objectives[0].name == "score"
    assert "hostile" in watch.asked


def test_a_description_of_another_problem_is_refused(header: Header) -> None:
    archive = Recorder.open(None, replace(header, problem={"objectives": ["score"]})).finish()
    with pytest.raises(ArchiveError, match=r"describes another problem than the one that its evaluations are of"):
        _ = archive.certificate


@pytest.mark.parametrize("text", ["max:score", " mean:score", "worst : score", "distinct(hostile:score)"])
def test_columns_are_never_imported(tables: Tables, watch: Watch, text: str) -> None:
    with pytest.raises(ProblemError, match=r"cannot be read: write 'column <= number'"):
        TableProblem(tables, ["score"], [text])
    if text.strip().startswith(("max", "mean")):
        assert TableProblem(tables, [text]).objectives[0].name == text.strip()
    assert watch.asked == []


@pytest.mark.parametrize("description", [{"objectives": ["a:b"]}, {"functions": {"a:b": {}}}, {"constraints": ["a:b"]}])
def test_descriptions_import_only_where_trusted(tables: Tables, description: dict[str, object]) -> None:
    with pytest.raises(ProblemError, match=r"names functions \(a:b\): import them with trusted=True"):
        TableProblem.from_description(tables, {"objectives": ["score"], **description})


def test_a_file_that_is_never_read_through_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As libhdf5 does with some damaged files, the child goes round for ever."""
    child = "import sys; from evo_qnas.archive.trial import limit_processor; limit_processor(0.1)\nwhile True: pass"
    monkeypatch.setattr(strangers, "_CHILD", child)
    path = tmp_path / "a.h5"
    path.write_bytes(b"anything")
    assert strangers.trial(path) == "reading it takes longer than an archive of its size can take"
