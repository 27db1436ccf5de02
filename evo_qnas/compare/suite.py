"""Suites: cards of problems to compare on, such as `problems/suite.toml`."""

import fnmatch
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, final

from pydantic import Field, model_validator

from evo_qnas.cards import Card, find_card, nearest, read_toml, validate
from evo_qnas.compare.case import Case, KnownFront, enumerated_front, grouped_front, summed_front
from evo_qnas.compare.drawn import CoveringSource, DrawnSource, KnapsackSource, LandscapeSource, QuadraticSource
from evo_qnas.compare.hard import GROUP
from evo_qnas.errors import CardError
from evo_qnas.problem import Problem, TableProblem, nas_bench_macro
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables
from evo_qnas.tables.importers import import_tables

Count = Annotated[int, Field(ge=1, le=10**9)]
# More blocks or operators than any network has.
Parts = Annotated[int, Field(ge=1, le=10_000)]
Bits = Annotated[int, Field(ge=0, le=64)]
# A choice has some six columns of eight bytes.
_MOST_CHOICES = 4_000_000
Names = Annotated[list[str], Field(min_length=1)]

_CHECKOUT = Path(__file__).resolve().parent.parent.parent


class FileSource(Card):
    """Tables of a file: HDF5, CSV, or what `evo-qnas tables import` knows."""

    kind: Literal["file"]
    file: str
    objectives: Names
    constraints: list[str] = []


class MacroSource(Card):
    """NAS-Bench-Macro as it was measured."""

    kind: Literal["nas-bench-macro"]
    file: str
    objectives: Names


class GeneratedSource(Card):
    """Tables of `generate_tables`."""

    kind: Literal["generated"]
    blocks: Parts
    operators: Parts = 12
    weight_bits: list[Bits] = [2, 3, 4, 6, 8]
    activation_bits: list[Bits] = [4, 8]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    objectives: Names
    constraints: list[str] = []

    @model_validator(mode="after")
    def _fits_memory(self) -> "GeneratedSource":
        choices = self.blocks * self.operators * len(self.weight_bits) * len(self.activation_bits)
        if choices > _MOST_CHOICES:
            raise ValueError(
                f"{choices:,} choices in all are more than {_MOST_CHOICES:,}: take fewer blocks or operators"
            )
        return self


Source = (
    FileSource | MacroSource | GeneratedSource | KnapsackSource | QuadraticSource | LandscapeSource | CoveringSource
)


class FrontCard(Card):
    """`front`: how the true front is found, and what was found when the suite was made."""

    by: Literal["sums", "enumeration", "groups", "runs"]
    guarantee: Annotated[float | None, Field(gt=0.0, lt=1.0)] = None
    points: Count | None = None
    hypervolume: float | None = None


class CaseCard(Card):
    """One problem."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    about: str
    source: Annotated[Source, Field(discriminator="kind")]
    judged_by: list[str] | None = None
    evaluations: Count | None = None
    front: FrontCard

    @model_validator(mode="after")
    def _known_objectives(self) -> "CaseCard":
        if isinstance(self.source, DrawnSource) and self.judged_by is not None:
            raise ValueError(f"judged_by names objectives of tables, and {self.source.kind} has none")
        return self


class SuiteCard(Card):
    """A suite."""

    kind: Literal["suite"]
    title: str
    algorithms: Names
    against: str | None = None
    cases: Annotated[list[CaseCard], Field(min_length=1)]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Problems to compare on.

    Attributes:
        title: one sentence.
        algorithms: what is compared where nothing else is asked for.
        against: the algorithm that all others are tested against; None tests every pair.
        cases: the problems.
        skipped: names of problems whose data is absent, and the reason.
    """

    title: str
    algorithms: tuple[str, ...]
    against: str | None
    cases: tuple[Case, ...]
    skipped: Mapping[str, str]


def is_suite(name: str) -> bool:
    """True where `name` is the path or the name of a suite card."""
    if Path(name).suffix not in {"", ".toml"}:
        return False
    try:
        return read_toml(find_card("problems", name)).get("kind") == "suite"
    except CardError:
        return False


def read_suite(name: str) -> tuple[SuiteCard, Path]:
    """The suite card called `name`, or in the file `name`, and where it lies.

    Raises:
        CardError: there is no such card, or it breaks a rule.
    """
    path = find_card("problems", name)
    return validate(SuiteCard, read_toml(path), str(path)), path


def load_suite(name: str = "suite", *, only: Sequence[str] = ()) -> Suite:
    """The problems of a suite.

    Args:
        name: of a card in `problems/`, or path of a TOML file.
        only: patterns such as `generated-*`; problems whose name fits none are left out. Empty takes all.

    Raises:
        CardError: there is no such card, it breaks a rule, or a pattern fits no problem.
    """
    card, path = read_suite(name)
    names = [case.name for case in card.cases]
    for pattern in only:
        if not fnmatch.filter(names, pattern):
            raise CardError(f"{path} has no problem {pattern!r}; {nearest(pattern, names)}")
    cases, skipped = [], {}
    for case in card.cases:
        if only and not any(fnmatch.fnmatch(case.name, pattern) for pattern in only):
            continue
        missing = _missing(case, path)
        if missing is None:
            cases.append(make_case(case, path))
        else:
            skipped[case.name] = missing
    return Suite(
        title=card.title,
        algorithms=tuple(card.algorithms),
        against=card.against,
        cases=tuple(cases),
        skipped=skipped,
    )


def data_folder() -> Path:
    """The folder of real data: `$EVO_QNAS_DATA`, else `../shared/data` beside the checkout."""
    return Path(os.environ.get("EVO_QNAS_DATA", _CHECKOUT.parent / "shared" / "data"))


def _file(name: str, card: Path) -> Path:
    """A file beside the card, else in the folder of real data."""
    beside = card.parent / name
    return beside if beside.is_file() else data_folder() / name


def _missing(case: CaseCard, card: Path) -> str | None:
    """Why a problem's data is not there, None where it is or none is needed."""
    if not isinstance(case.source, FileSource | MacroSource) or _file(case.source.file, card).is_file():
        return None
    return f"{case.source.file} is not in the folder of real data; set EVO_QNAS_DATA to where it lies"


def make_case(case: CaseCard, card: Path) -> Case:
    """The problem that a card describes.

    Args:
        case: the problem's part of the card.
        card: where the card lies; files are looked for beside it first.
    """
    problem = _problem(case, card, case.source.objectives)
    truth = None if case.judged_by is None else _problem(case, card, case.judged_by)
    return Case(
        name=case.name,
        problem=problem,
        truth=truth,
        known=_known(case.front, truth or problem),
        evaluations=case.evaluations,
        about=case.about,
    )


def _problem(case: CaseCard, card: Path, objectives: Sequence[str]) -> Problem:
    source = case.source
    if isinstance(source, DrawnSource):
        return source.problem()
    if isinstance(source, MacroSource):
        return nas_bench_macro(_file(source.file, card), tuple(objectives))
    if isinstance(source, FileSource):
        path = _file(source.file, card)
        tables = Tables.load(path) if path.suffix in {".h5", ".hdf5"} else import_tables(path)
        return TableProblem(tables, list(objectives), source.constraints)
    tables = generate_tables(
        source.blocks,
        operators=source.operators,
        weight_bits=source.weight_bits,
        activation_bits=source.activation_bits,
        seed=source.seed,
    )
    return TableProblem(tables, list(objectives), source.constraints)


def _known(front: FrontCard, judge: Problem) -> Callable[[], KnownFront] | None:
    """The way to the true front that the card names; None leaves it to the runs."""
    if front.by == "enumeration":
        return partial(enumerated_front, judge)
    if front.by == "groups":
        blocks = len(judge.space.blocks)
        return partial(grouped_front, judge, [range(start, start + GROUP) for start in range(0, blocks, GROUP)])
    return partial(summed_front, judge, guarantee=front.guarantee) if front.by == "sums" else None
