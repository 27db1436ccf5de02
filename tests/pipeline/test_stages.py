"""The order of stages, those of other packages, and what is removed where a stage is to be made again."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import final

import pytest

from evo_qnas import registry
from evo_qnas.errors import CardError, PluginError
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stages import Resources, RunState, Stage, milestones, ordered_stages, stages_until
from evo_qnas.pipeline.stages.registry import REGISTRY
from evo_qnas.pipeline.stages.search import SearchStage
from evo_qnas.pipeline.stages.summary import SummaryStage, _search
from evo_qnas.pipeline.stages.teacher import TeacherStage
from evo_qnas.pipeline.testing import StageContract
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.tables.generate import generate_tables
from tests.plugin.squares_plugin.counting import CountStage

OURS = ("teacher", "blocks", "tables", "latency", "compiled", "search", "networks", "export", "summary")


@final
class LateStage(Stage):
    """One that follows a stage of another package."""

    name = "late"
    about = "nothing, after count"
    after = "count"

    def fingerprint(self, context: RunContext) -> str:
        return ""

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        return state


@final
class LostStage(Stage):
    """One that follows nothing."""

    name = "lost"
    about = "nothing, after nothing"
    after = "nowhere"

    def fingerprint(self, context: RunContext) -> str:
        return ""

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        return state


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """Entry points of the group `evo_qnas.stages`, to be filled by a test."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == "evo_qnas.stages" else [])
    registry._entries.cache_clear()
    yield found
    registry._entries.cache_clear()
    for name in ("count", "late", "lost"):
        REGISTRY._made.pop(name, None)


def entry(name: str, kind: type[Stage]) -> EntryPoint:
    return EntryPoint(name=name, value=f"{kind.__module__}:{kind.__name__}", group="evo_qnas.stages")


def test_stages_come_in_the_order_of_the_method() -> None:
    assert milestones() == OURS
    assert [stage.name for stage in stages_until("tables")] == ["teacher", "blocks", "tables", "fisher", "in_context"]
    assert [stage.name for stage in stages_until("networks")][-4:] == [
        "networks",
        "rounds",
        "ranking",
        "rank_correlation",
    ]
    assert {stage.name for stage in ordered_stages()} == set(REGISTRY.names())
    with pytest.raises(CardError, match=r"--until 'rounds': the stages are teacher, blocks"):
        stages_until("rounds")


def test_stages_of_other_packages_stand_behind_those_that_they_name(others: list[EntryPoint]) -> None:
    others += [entry("late", LateStage), entry("count", CountStage)]
    assert milestones()[:4] == ("teacher", "count", "late", "blocks")
    others.append(entry("lost", LostStage))
    registry._entries.cache_clear()
    with pytest.raises(PluginError, match=r"stage 'lost' comes after 'nowhere', which is no stage; there are: teacher"):
        ordered_stages()


def test_outputs_of_a_stage_are_removed_where_its_fingerprint_changes(
    others: list[EntryPoint], tmp_path: Path, small: list[str]
) -> None:
    others.append(entry("count", CountStage))
    name, card = load_card("digits", changes=small, seed=5)
    run_card(name, card, tmp_path, jobs=1, until="count")
    count = (tmp_path / "count.txt").read_text()
    assert int(count) > 1000
    (tmp_path / "count.txt").write_text("kept")
    run_card(
        name,
        load_card("digits", changes=[*small, "search.evaluations=90"], seed=5)[1],
        tmp_path,
        anew=True,
        until="count",
    )
    assert (tmp_path / "count.txt").read_text() == "kept"
    wider = [*small, "teacher.parameters.head=32"]
    run_card(name, load_card("digits", changes=wider, seed=5)[1], tmp_path, jobs=1, anew=True, until="count")
    assert int((tmp_path / "count.txt").read_text()) > int(count)


def test_a_run_of_other_files_is_refused(tmp_path: Path, small: list[str]) -> None:
    """The card is the same, the file of weights that it names is another."""
    name, card = load_card("digits", changes=small, seed=5)
    run_card(name, card, tmp_path / "first", jobs=1, until="teacher")
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes((tmp_path / "first" / "teacher.safetensors").read_bytes())
    _, card = load_card("digits", changes=[*small, f'teacher.weights="{weights}"'], seed=5)
    run_card(name, card, tmp_path / "run", jobs=1, until="teacher")
    run_card(name, load_card("digits", changes=small, seed=6)[1], tmp_path / "other", jobs=1, until="teacher")
    weights.write_bytes((tmp_path / "other" / "teacher.safetensors").read_bytes())
    with pytest.raises(CardError, match=r"made from other files \(what changed decides on: teacher, blocks, tables"):
        run_card(name, card, tmp_path / "run", jobs=1, until="teacher")
    (tmp_path / "run" / "stages.json").unlink()
    with pytest.raises(CardError, match=r"holds a run of another version of evo_qnas: give another folder"):
        run_card(name, card, tmp_path / "run", jobs=1, until="teacher")
    run_card(name, card, tmp_path / "run", jobs=1, until="teacher", anew=True)


class TestTeacherStage(StageContract):
    def stage(self) -> Stage:
        return TeacherStage()

    def prepared(self, folder: Path) -> tuple[RunContext, RunState]:
        return context_of(folder), RunState()


class TestSearchStage(StageContract):
    def stage(self) -> Stage:
        return SearchStage()

    def prepared(self, folder: Path) -> tuple[RunContext, RunState]:
        return context_of(folder), RunState(tables=generate_tables(2))


class TestCountStage(StageContract):
    def stage(self) -> Stage:
        return CountStage()

    def prepared(self, folder: Path) -> tuple[RunContext, RunState]:
        context = context_of(folder)
        run_card(context.name, context.card, folder, jobs=1, until="teacher")
        return context, RunState()


def context_of(folder: Path) -> RunContext:
    from tests.pipeline.conftest import SMALL

    name, card = load_card("digits", changes=SMALL, seed=5)
    return RunContext(name=name, card=card, folder=folder)


def test_the_summary_needs_a_search(tmp_path: Path) -> None:
    resources = Resources(jobs=1, seconds={}, time=lambda _, work: work())
    with pytest.raises(CardError, match=r"there is no problem yet: a stage that gives one has to come before"):
        SummaryStage().run(context_of(tmp_path), RunState(), resources)
    problem = TableProblem(generate_tables(2))
    with pytest.raises(CardError, match=r"there is no archive yet"):
        SummaryStage().run(context_of(tmp_path), RunState(problem=problem), resources)


def test_a_search_under_limits_that_are_no_sums_is_summed_up_without_a_certificate() -> None:
    """A column that is no sum, such as peak memory, has no exact front; the run ends all the same."""
    name, card = load_card("digits")
    tables = generate_tables(3, seed=0)
    problem = TableProblem(tables, ["score", "size_bytes"], ["max:score <= 9"])
    found = _search(RunContext(name=name, card=card, folder=Path("run")), problem, search(problem, evaluations=40))
    assert found.hypervolume_share is None
    assert found.certificate.startswith("no certificate")
