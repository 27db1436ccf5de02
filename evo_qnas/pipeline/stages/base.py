"""The interface of a stage, and what stages hand on to one another."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, final

from evo_qnas.archive import Archive
from evo_qnas.errors import CardError
from evo_qnas.networks.export import Runtime
from evo_qnas.pipeline.context import RunContext
from evo_qnas.problem import TableProblem
from evo_qnas.summary import RankCorrelation, RunSummary, ValidatedNetwork
from evo_qnas.tables import Tables

Result = TypeVar("Result")


def refuse_without_packages(section: str, runtime: Runtime) -> None:
    """Raises `CardError` where the packages of a section's runtime are missing."""
    missing = runtime.missing()
    if missing:
        raise CardError(
            f"{section} of the card needs {' and '.join(missing)}, not installed here: "
            f"pip install '{runtime.install}', or remove the section"
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Results of the stages so far; None, or empty, where none has given one.

    Attributes:
        tables: scores and costs of every choice.
        problem: of the main search.
        archive: of the main search.
        searches: archives of further searches by name.
        networks: the validated ones.
        rounds: what each further round did.
        rank_correlation: of score and metric.
        summary: of the whole run.
    """

    tables: Tables | None = None
    problem: TableProblem | None = None
    archive: Archive | None = None
    searches: Mapping[str, Archive] = field(default_factory=dict)
    networks: tuple[ValidatedNetwork, ...] = ()
    rounds: tuple[dict[str, Any], ...] = ()
    rank_correlation: RankCorrelation | None = None
    summary: RunSummary | None = None

    def having(self, **changes: Any) -> "RunState":
        """A copy with some results replaced."""
        return replace(self, **changes)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Means that a stage may use.

    Attributes:
        jobs: worker processes; the results do not depend on it.
        seconds: taken by the stages so far, by name.
        time: runs a function and adds its seconds to an entry of its own, for stages of several parts.
    """

    jobs: int
    seconds: Mapping[str, float]
    time: Callable[[str, Callable[[], Any]], Any]


class Stage(ABC):
    """One step of a run: reads files and values of earlier stages, writes files, gives values.

    Contract: the files and values depend on the card and on earlier stages alone, not on the number of jobs, nor on how
    often the run was killed; `run` keeps what is there and was made from the same fingerprint, and a kill at any
    moment leaves files that the next `run` goes on from.

    Attributes:
        name: unique; the key of its seconds in `summary.json`, and what `--until` names.
        about: one line for `evo-qnas list stages`.
        after: name of the stage that it follows; of several, those of evo_qnas come first, then by name.
        part_of: name of the earlier stage with which `--until` counts it; "" for a stage that can be named there.
        outputs: globs, relative to the run folder, of files that carry no fingerprint of their own: they are removed
            where the stage's fingerprint is no longer that of the run before.
    """

    name: str
    about: str
    after: str = ""
    part_of: str = ""
    outputs: tuple[str, ...] = ()

    def asked_for(self, context: RunContext) -> bool:
        """False where the card does not ask for this stage; it is left out then."""
        return True

    def check(self, context: RunContext) -> None:
        """Refuses, before anything is trained, a card that this stage could not end with.

        Raises:
            EvoQnasError: one sentence with the key, its value and the way out.
        """
        return

    @abstractmethod
    def fingerprint(self, context: RunContext) -> str:
        """A digest of all that the stage's outputs depend on."""

    @abstractmethod
    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the results of this stage."""


def required(value: Result | None, what: str) -> Result:
    """A result of an earlier stage.

    Raises:
        CardError: no stage before this one gave it.
    """
    if value is None:
        raise CardError(f"there is no {what} yet: a stage that gives one has to come before")
    return value
