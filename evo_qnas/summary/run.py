"""The content of `summary.json`."""

from collections.abc import Mapping
from typing import Any, final

from pydantic import model_validator

from evo_qnas.summary.network import ValidatedNetwork, Value
from evo_qnas.summary.numbers import decimals_of, with_error, without_minus_zero
from evo_qnas.summary.verdict import Verdict


@final
class Metric(Value):
    """The metric of a task, and how people are shown it.

    Attributes:
        name: in words.
        maximize: a larger value is a better one.
        unit: `%` for a share 0..1, which people are shown times 100; "" for none.
    """

    name: str
    maximize: bool
    unit: str

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Metric":
        """The metric of a `summary.json` of any age; one without direction or unit is a share to maximise.

        Raises:
            KeyError: it has no name.

        Example:
            >>> Metric.of({"name": "accuracy"})
            Metric(name='accuracy', maximize=True, unit='%')
        """
        name, unit = str(content["name"]), content.get("unit")
        maximize = content.get("maximize", True) is not False
        return cls(name=name, maximize=maximize, unit="%" if unit is None else str(unit))

    @property
    def is_share(self) -> bool:
        """True for a share 0..1."""
        return self.unit == "%"

    @property
    def factor(self) -> float:
        """Factor from a value to the number that people are shown."""
        return 100.0 if self.is_share else 1.0

    @property
    def spec(self) -> str:
        """Format specification of such a number: two decimals of a percentage, else four digits."""
        return ".2f" if self.is_share else ".4g"

    def format(self, value: float, error: float | None = None) -> str:
        """A value with its unit, and with its standard error and no more digits than that allows where it is known.

        Example:
            >>> share = Metric(name="accuracy", maximize=True, unit="%")
            >>> share.format(0.9712), share.format(0.9712, 0.004)
            ('97.12 %', '97.1 ± 0.4 %')
            >>> Metric(name="RMSE", maximize=False, unit="mm").format(3.14159)
            '3.142 mm'
        """
        return f"{self.with_error(value, error)} {self.unit}".rstrip()

    def with_error(self, value: float, error: float | None) -> str:
        """A value and its standard error as people are shown them, without the unit.

        Example:
            >>> Metric(name="accuracy", maximize=True, unit="%").with_error(0.9712, 0.0123)
            '97.1 ± 1.2'
        """
        return with_error(self.factor * value, _scaled(self.factor, error), spec=self.spec)

    def difference(self, value: float, error: float | None) -> str:
        """A difference of two values and its standard error, with its sign and without the unit.

        Example:
            >>> Metric(name="accuracy", maximize=True, unit="%").difference(-0.0009, 0.0012)
            '-0.09 ± 0.12'
        """
        return with_error(self.factor * value, _scaled(self.factor, error), spec=self.spec, signed=True)

    def number(self, value: float, error: float) -> str:
        """A value alone, with the digits that a standard error above zero allows.

        Example:
            >>> Metric(name="accuracy", maximize=True, unit="%").number(0.98765, 0.004)
            '98.8'
        """
        return without_minus_zero(f"{self.factor * value:.{decimals_of(self.factor * error)}f}")

    def label(self, words: str) -> str:
        """Words with the unit behind them, for an axis or the head of a column.

        Example:
            >>> Metric(name="accuracy", maximize=True, unit="%").label("accuracy after")
            'accuracy after, %'
        """
        return f"{words}, {self.unit}" if self.unit else words

    def is_worse(self, value: float, other: float) -> bool:
        """True where a value is strictly worse than another one."""
        return value < other if self.maximize else value > other


def _scaled(factor: float, error: float | None) -> float | None:
    return None if error is None else factor * error


@final
class FloatTeacher(Value):
    """The teacher in float32."""

    metric: float
    size_bytes: int
    latency_ms: float | None


@final
class Int8Teacher(Value):
    """The teacher at 8 bits, fine-tuned like every validated network."""

    metric: float
    metric_before_finetune: float
    metric_search_split: float | None = None
    size_bytes: int
    latency_ms: float | None


@final
class RankCorrelation(Value):
    """Kendall's tau of predicted and measured ranks over random networks, with its 95 % interval.

    Attributes:
        kendall_tau: tau-b, None where a ranking is constant.
        networks: how many.
        low: lower end of the interval.
        high: upper end.
        better_half: the same within the half with the better scores; None where that has fewer than three networks.
    """

    kendall_tau: float | None
    networks: int
    low: float | None
    high: float | None
    better_half: "RankCorrelation | None" = None


@final
class SearchSummary(Value):
    """The main search and its certificate."""

    algorithm: str
    evaluations: int
    front: int
    hypervolume_share: float | None
    certificate: str


@final
class FurtherSearchSummary(Value):
    """A further search over the same tables."""

    algorithm: str
    objectives: tuple[str, ...]
    pick_by: str
    evaluations: int
    front: int


@final
class RoundSummary(Value):
    """A further round.

    Attributes:
        round: its number, from 1.
        predictor: that proposed its networks.
        measured_before: networks that it learnt from.
        proposed: networks that were validated.
        kendall_tau: by predictor the cross-validated tau with its 95 % interval; None where it is not known.
        warning: where too little was measured to trust it.
        hypervolume_before: of the validated networks.
        hypervolume_after: of those and the new ones.
    """

    round: int
    predictor: str
    measured_before: int
    proposed: int
    kendall_tau: dict[str, tuple[float | None, float | None, float | None]]
    warning: str | None
    hypervolume_before: float
    hypervolume_after: float

    @model_validator(mode="after")
    def _knows_its_predictor(self) -> "RoundSummary":
        tau = self.kendall_tau.get(self.predictor)
        if tau is None or (tau[0] is not None and None in tau):
            raise ValueError(f"kendall_tau must have the tau of {self.predictor!r} and the ends of its interval")
        return self


@final
class RunSummary(Value):
    """A finished run; what it did not do is None.

    Attributes:
        card: name of the card.
        task: of the card.
        metric: of the task.
        seconds: by stage.
        teacher_float: the teacher as it was trained.
        teacher_int8: the baseline in the same space.
        networks: the validated ones, from large to small.
        rank_correlation: of score and metric over random networks.
        rounds: one entry for each further round.
        search: the main search.
        searches: further ones by name.
        images: of each part of the data.
        versions: of packages, None where one is not installed.
        hardware: what it ran on.
        seed: of the card.
        warnings: what the run did without, a sentence each.
        verdict: the best network and what the health checks found.
    """

    card: str
    task: str
    metric: Metric
    seconds: dict[str, float]
    teacher_float: FloatTeacher
    teacher_int8: Int8Teacher | None
    networks: tuple[ValidatedNetwork, ...]
    rank_correlation: RankCorrelation | None
    rounds: tuple[RoundSummary, ...]
    search: SearchSummary
    searches: dict[str, FurtherSearchSummary]
    images: dict[str, int]
    versions: dict[str, str | None]
    hardware: dict[str, str | int]
    seed: int
    warnings: tuple[str, ...] = ()
    verdict: Verdict | None = None
