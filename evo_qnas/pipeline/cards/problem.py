"""Problem cards for networks: what a run trains, searches and validates."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from evo_qnas.cards import Card, find_card, nearest, read_toml, validate
from evo_qnas.data import DataCard
from evo_qnas.errors import CardError
from evo_qnas.networks.tasks.base import find_task, known_task
from evo_qnas.pipeline.cards.latency import CompiledCard, LatencyCard
from evo_qnas.pipeline.cards.learning import Count, DistillationCard, FinetuningCard, TeacherCard
from evo_qnas.pipeline.cards.quantization import QuantizationCard
from evo_qnas.pipeline.cards.refinement import RefinementCard
from evo_qnas.pipeline.cards.resolved import without_digests
from evo_qnas.pipeline.cards.scores import FisherCard, InContextCard
from evo_qnas.pipeline.cards.search import FurtherSearch, PredictorCard, SearchCard, Share

AUTO = "auto"


class BlocksCard(Card):
    """`[blocks]`: names of the teacher's submodules that may be replaced, or `names = "auto"` for those that are found.

    See `networks.candidates.finding` for what is found.

    Attributes:
        names: the blocks in network order, or `auto`.
    """

    names: Annotated[list[str], Field(min_length=1)]

    @field_validator("names", mode="before")
    @classmethod
    def _found(cls, names: Any) -> Any:
        return [AUTO] if names == AUTO else names

    @property
    def found(self) -> bool:
        """True where the blocks are yet to be found."""
        return self.names == [AUTO]


class ValidationCard(Card):
    """`[validation]`: which networks of the front are built, and how many random ones check the score.

    Attributes:
        size_shares: for each the network with the best score within this share of the INT8 teacher's size is validated.
        least_picks: networks that are validated at least.
        random_networks: random networks that are assembled for the rank correlation of score and metric.
    """

    size_shares: list[Share] = [0.8, 0.67, 0.58, 0.5, 0.4, 0.3]
    least_picks: Count = 5
    random_networks: Annotated[int, Field(ge=0, le=10**5)] = 24


class OperatorUse(Card):
    """`[[operators]]`: an operator card with the parameter values to combine.

    Attributes:
        card: name of a card of `operators/blocks/`, or path of one.
        blocks: those it is offered for; all where empty.
        parameters: in a card each parameter stands beside `card`, as the list of values to combine.
    """

    card: str
    blocks: list[str] = []
    parameters: dict[str, list[Annotated[int, Field(ge=0, le=1024)]]] = {}

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, values: Any) -> Any:
        """Parameters stand beside `card` in the TOML."""
        if not isinstance(values, dict) or "parameters" in values:
            return values
        own = {name: values[name] for name in ("card", "blocks") if name in values}
        return {**own, "parameters": {name: value for name, value in values.items() if name not in own}}


class Settings(Card):
    """Everything that is set about a run but its workload: what a model, data and a task go through.

    Attributes:
        seed: of everything that is drawn.
        threads: of each job; the results do not depend on the number of jobs.
        blocks: what may be replaced.
        operators: what blocks may become, besides the teacher's own; none leaves the choice of bits alone.
        quantization: bit-widths.
        distillation: training of the candidates.
        refinement: quantization-aware steps before scoring; None for none.
        in_context: a second score; None for none.
        fisher: a score by gradients; None for none.
        latency: measured latency; None for none.
        compiled: latency and flash by a compiler's account; None for none.
        predictor: what proposes networks of further rounds; None for its defaults.
        search: the search.
        searches: further searches over the same tables, by name.
        validation: which networks are built.
        finetuning: training of the built networks.
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    threads: Count = 1
    blocks: BlocksCard
    operators: list[OperatorUse] = []
    quantization: QuantizationCard
    distillation: DistillationCard = DistillationCard()
    refinement: RefinementCard | None = None
    in_context: InContextCard | None = None
    fisher: FisherCard | None = None
    latency: LatencyCard | None = None
    compiled: CompiledCard | None = None
    predictor: PredictorCard | None = None
    search: SearchCard = SearchCard()
    searches: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], FurtherSearch] = {}
    validation: ValidationCard = ValidationCard()
    finetuning: FinetuningCard = FinetuningCard()

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        """What one section names, the others have."""
        named = {block for use in self.operators for block in use.blocks}
        for block in sorted(named - set(self.blocks.names)) if not self.blocks.found else ():
            raise ValueError(f"operators: no block is called {block!r}; {nearest(block, self.blocks.names)}")
        if any(search.rounds is not None for search in self.searches.values()):
            raise ValueError("rounds belong to [search]: further searches have one")
        for score, section in (("score_in_context", self.in_context), ("score_fisher", self.fisher)):
            if self.predictor is not None and self.predictor.score == score and section is None:
                raise ValueError(f"predictor.score = {score!r} needs the section [{score.removeprefix('score_')}]")
        return self


class ProblemCard(Settings):
    """A card of `problems/`: one whole run.

    Attributes:
        task: one of `networks.tasks.TASKS`, or `module:object`.
        data: which examples, and how they are split; `module:function` is short for that name.
        teacher: the model, and how it is trained.
    """

    task: Annotated[str, AfterValidator(known_task)]
    data: DataCard
    teacher: TeacherCard

    @field_validator("data", mode="before")
    @classmethod
    def _plain_name(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _fits_the_task(self) -> "ProblemCard":
        """Settings of training are those that the task can use."""
        tuning = self.finetuning.settings(borrowed=self.teacher.weights is not None)
        find_task(self.task).check_settings(self.teacher.training.values, tuning)
        return self


def load_card(name: str, *, changes: list[str] | None = None, seed: int | None = None) -> tuple[str, ProblemCard]:
    """Name and content of a problem card, with `a.b=c` changes and the seed applied.

    Paths become absolute: those in the card are looked for where it lies, those in a change where the command runs.

    Raises:
        CardError: the card is missing, breaks a rule, or a change names no key.
    """
    path = find_card("problems", name)
    values = without_digests(read_toml(path), path)
    if values.get("kind") == "suite":
        raise CardError(f"{name} is a suite of problems to compare algorithms on, no run: evo-qnas compare {name}")
    for change in changes or []:
        _apply(values, change)
    if seed is not None:
        values["seed"] = seed
    card = validate(ProblemCard, values, f"card {path.name}")
    return path.stem, _absolute(card, path.parent)


_PATHS = ("data.folder", "data.cache", "teacher.weights", "teacher.start")


def _apply(values: dict[str, Any], change: str) -> None:
    """Applies one `a.b=c`; `c` is read as TOML, and as plain text where it is none."""
    key, sign, text = change.partition("=")
    if not sign or not key.strip():
        raise CardError(f"--set {change!r} needs the form section.key=value, for example search.evaluations=5000")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    except (ValueError, RecursionError) as error:
        raise CardError(f"--set {key.strip()}: the value is too long or too deep to be one of a card") from error
    if key.strip() in _PATHS:
        value = str(_resolved(key.strip(), Path(str(value))))
    parts = key.strip().split(".")
    here = values
    for part in parts[:-1]:
        inner = here.setdefault(part, {})
        if not isinstance(inner, dict):
            raise CardError(f"--set {change!r}: {part!r} is no section of the card")
        here = inner
    here[parts[-1]] = value


def _resolved(key: str, path: Path) -> Path:
    """The path without links, of a key of the card."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise CardError(f"{key}: {str(path)!r} leads nowhere: {error}") from error


def _beside(folder: Path, section: str, paths: dict[str, Path | None]) -> dict[str, Path]:
    """The paths of a section that are given, resolved from a folder."""
    return {key: _resolved(f"{section}.{key}", folder / path) for key, path in paths.items() if path is not None}


def _absolute(card: ProblemCard, folder: Path) -> ProblemCard:
    """The card with its paths resolved from the folder in which it lies."""
    data, teacher = card.data, card.teacher
    paths = {"folder": data.folder, "cache": data.cache}
    data = data.model_copy(update=_beside(folder, "data", paths))
    paths = {"weights": teacher.weights, "start": teacher.start}
    teacher = teacher.model_copy(update=_beside(folder, "teacher", paths))
    return card.model_copy(update={"data": data, "teacher": teacher})
