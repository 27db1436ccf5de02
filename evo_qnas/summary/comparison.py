"""The content of `comparison.json`, as typed values."""

from pathlib import Path
from typing import final

from pydantic import Field, model_validator

from evo_qnas.summary.network import Value
from evo_qnas.summary.reading import read_value

Cell = str | int | float | bool | None


@final
class ComparedProblem(Value):
    """A problem of a comparison."""

    name: str
    about: str | None = None
    budget: int | None = None


@final
class ComparedAlgorithm(Value):
    """An algorithm of a comparison; `is` says which one."""

    name: str
    text: str | None = Field(default=None, alias="is")


@final
class ComparisonSettings(Value):
    """What was compared, and how."""

    problems: tuple[ComparedProblem, ...]
    algorithms: tuple[ComparedAlgorithm, ...]
    seeds: tuple[int, ...]
    evaluations: int
    against: str | None = None
    seeding: str = "default"
    baseline: str | None = None
    command: str | None = None
    skipped: dict[str, str] = {}


@final
class ComparisonCurve(Value):
    """Quartiles of the hypervolume share over the seeds, after equal parts of the budget."""

    problem: str
    algorithm: str
    evaluations: tuple[float, ...]
    lower_quartile: tuple[float | None, ...]
    median: tuple[float | None, ...]
    upper_quartile: tuple[float | None, ...]

    @model_validator(mode="after")
    def _as_long_as_each_other(self) -> "ComparisonCurve":
        for name in ("lower_quartile", "median", "upper_quartile"):
            if len(getattr(self, name)) != len(self.evaluations):
                raise ValueError(f"{name} and evaluations must be of one length")
        return self


@final
class ComparisonRanks(Value):
    """Average ranks over the problems."""

    critical_difference: float | None = None
    friedman_p: float | None = None
    problems: int | None = None


@final
class ComparisonDocument(Value):
    """A comparison; tables are lists of rows."""

    format: str = "evo_qnas comparison"
    settings: ComparisonSettings
    references: dict[str, str] = {}
    tables: dict[str, tuple[dict[str, Cell], ...]]
    curves: tuple[ComparisonCurve, ...]
    ranks: ComparisonRanks = ComparisonRanks()
    conclusions: tuple[str, ...]


def read_comparison(path: Path) -> ComparisonDocument | None:
    """The content of a `comparison.json`, None where there is none.

    Raises:
        PictureError: the file is no JSON, or lacks what a comparison writes.
    """
    return read_value(path, ComparisonDocument, "a comparison")
