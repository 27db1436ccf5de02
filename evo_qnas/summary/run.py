"""The content of `summary.json`."""

from typing import Any, final

from evo_qnas.summary.network import ValidatedNetwork, Value


@final
class Metric(Value):
    """The metric of a task, and its direction."""

    name: str
    maximize: bool


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
    metric_search_split: float
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
    """

    card: str
    task: str
    metric: Metric
    seconds: dict[str, float]
    teacher_float: FloatTeacher
    teacher_int8: Int8Teacher | None
    networks: tuple[ValidatedNetwork, ...]
    rank_correlation: RankCorrelation | None
    rounds: tuple[dict[str, Any], ...]
    search: SearchSummary
    searches: dict[str, FurtherSearchSummary]
    images: dict[str, int]
    versions: dict[str, str | None]
    hardware: dict[str, str | int]
    seed: int
