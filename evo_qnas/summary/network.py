"""One validated network of a run."""

from collections.abc import Mapping
from typing import Any, final

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value whose keys are those of its JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON has it."""
        return self.model_dump(mode="json")


@final
class BlockChoice(Value):
    """The choice of one block: its operator and bits (0 where the operator has no weights, or computes nothing)."""

    block: str
    operator: str
    weight_bits: int
    activation_bits: int


@final
class Difference(Value):
    """A network's metric less that of the INT8 teacher, with the paired standard error where it is known."""

    metric: float
    stderr: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the 95 % interval, taken for normal; None where the standard error is not known.

        Example:
            >>> Difference(metric=0.0, stderr=0.5).interval
            (-0.98, 0.98)
        """
        return None if self.stderr is None else (self.metric - 1.96 * self.stderr, self.metric + 1.96 * self.stderr)


@final
class Prediction(Value):
    """The metric on the search images that a predictor of a further round foretold, and its spread."""

    metric: float
    spread: float


@final
class ValidatedNetwork(Value):
    """A network that was built, fine-tuned and validated; later stages add to copies of it.

    Attributes:
        id: eight hex digits of the genome, or the name of a baseline.
        genome: index of each block's choice.
        blocks: the same in words.
        metric_before_finetune: on the test images, as assembled and calibrated.
        metric: on the test images, of its integers.
        metric_stderr: standard error of that, None where the task has none.
        metric_search_split: on the search images.
        size_bytes: bit-packed weights, scales and biases.
        warning: what went wrong on the way, None for nothing.
        latency_ms: of one image on one thread, None where it was not measured.
        onnx: the entry of its ONNX file, or of one that could not be made its reason as `failed`; None where none was
            asked for.
        predicted: its sum in each column of the tables.
        searches: names of the searches that picked it; "" is the main one.
        round: the further round that proposed it, None for a pick of a search.
        foretold: by the predictor of that round.
        dominated_by: id of the best network that is no larger and no worse; None on the front.
        tied_with: ids of networks of the front that cannot be told apart from it.
        minus_teacher_int8: its lead over the INT8 teacher; None for that teacher.
    """

    id: str
    genome: tuple[int, ...]
    blocks: tuple[BlockChoice, ...]
    metric_before_finetune: float
    metric: float
    metric_stderr: float | None
    metric_search_split: float
    size_bytes: int
    warning: str | None = None
    latency_ms: float | None = None
    onnx: dict[str, Any] | None = None
    predicted: dict[str, float] = {}
    searches: tuple[str, ...] = ()
    round: int | None = None
    foretold: Prediction | None = None
    dominated_by: str | None = None
    tied_with: tuple[str, ...] = ()
    minus_teacher_int8: Difference | None = None

    @property
    def standing(self) -> str:
        """`front` for a network on the front of metric and size, else its better, or that noise alone parts them.

        Example:
            >>> entry = {"id": "a", "genome": (), "blocks": (), "metric_before_finetune": 0.5, "metric": 0.5}
            >>> entry |= {"metric_stderr": None, "metric_search_split": 0.5, "size_bytes": 9, "dominated_by": "b"}
            >>> ValidatedNetwork(**entry).standing, ValidatedNetwork(**entry, tied_with=("b",)).standing
            ('beaten by b', 'within noise of b')
        """
        better = self.dominated_by
        found = (
            "front" if better is None else f"{'within noise of' if better in self.tied_with else 'beaten by'} {better}"
        )
        return f"{found}, round {self.round}" if self.round else found

    def having(self, **changes: Any) -> "ValidatedNetwork":
        """A copy with some attributes replaced."""
        return self.model_copy(update=changes)

    def measured(self) -> dict[str, Any]:
        """Attributes that building and validating it gave, as JSON has them: the content of `network.json`."""
        return self.model_dump(mode="json", include=set(_MEASURED))

    @classmethod
    def from_measured(cls, content: Mapping[str, Any]) -> "ValidatedNetwork":
        """The network of `measured`; further keys are ignored."""
        return cls.model_validate({name: content[name] for name in _MEASURED})


_MEASURED = (
    "id",
    "genome",
    "blocks",
    "metric_before_finetune",
    "metric",
    "metric_stderr",
    "metric_search_split",
    "size_bytes",
    "warning",
)
