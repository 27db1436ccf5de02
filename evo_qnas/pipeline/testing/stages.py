"""The contract of a stage."""

import dataclasses
import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.stages import Resources, RunState, Stage


class StageContract(ABC):
    """Tests that every stage must pass; inherit, name the class `Test..`, and say what is tested.

    Example:
        class TestMyStage(StageContract):
            def stage(self): return MyStage()
            def prepared(self, folder): ...      # a run in which the earlier stages have ended, and what they gave
    """

    @abstractmethod
    def stage(self) -> Stage:
        """The stage that is tested."""

    @abstractmethod
    def prepared(self, folder: Path) -> tuple[RunContext, RunState]:
        """A run in `folder` in which the earlier stages have ended, and the state that they gave."""

    def test_name_and_description_are_texts(self) -> None:
        """Names are what `--until` and `summary.json` can carry."""
        stage = self.stage()
        assert stage.name.isidentifier(), f"the name {stage.name!r} must be letters, digits and _"
        assert stage.about
        assert "\n" not in stage.about
        assert stage.after != stage.name
        assert all(isinstance(pattern, str) and not pattern.startswith("/") for pattern in stage.outputs)

    def test_the_fingerprint_is_that_of_the_card(self, tmp_path: Path) -> None:
        """Equal in a context that is built again, as worker processes do it."""
        context, _ = self.prepared(tmp_path)
        again = dataclasses.replace(context)
        fingerprint = self.stage().fingerprint(context)
        assert fingerprint == self.stage().fingerprint(again)
        json.dumps(fingerprint)

    def test_a_second_run_changes_no_file(self, tmp_path: Path) -> None:
        """Files that are there and were made from the same are kept."""
        context, state = self.prepared(tmp_path)
        first = self.stage().run(context, state, _resources())
        before = _contents(context.folder)
        second = self.stage().run(context, state, _resources())
        assert _contents(context.folder) == before
        assert _plain(first) == _plain(second)

    def test_outputs_that_were_removed_are_made_again(self, tmp_path: Path) -> None:
        """A run whose stale outputs were removed ends with the same files."""
        context, state = self.prepared(tmp_path)
        stage = self.stage()
        stage.run(context, state, _resources())
        paths = {path for pattern in stage.outputs for path in context.folder.glob(pattern) if path.is_file()}
        before = {path: path.read_bytes() for path in paths}
        for path in paths:
            path.unlink()
        stage.run(context, state, _resources())
        assert {path for path in paths if path.is_file()} == paths
        assert all(path.read_bytes() == content for path, content in before.items() if path.suffix == ".json")


def _resources() -> Resources:
    return Resources(jobs=1, seconds={}, time=lambda _, work: work())


def _contents(folder: Path) -> dict[str, bytes]:
    """All files; those of archives by name alone, since they say when they were written."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): b"" if path.suffix == ".h5" else path.read_bytes() for path in files}


def _plain(state: RunState) -> Any:
    """The parts of a state that compare by value."""
    return state.networks, state.rounds, state.rank_correlation, state.summary
