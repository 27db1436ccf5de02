"""The sections of a problem card about searches: `[search]`, `[searches.NAME]`, `[predictor]`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from evo_qnas.cards import Card, nearest
from evo_qnas.pipeline.cards.learning import Count
from evo_qnas.predict import PREDICTORS

Share = Annotated[float, Field(gt=0.0, lt=1.0)]

_AUTO = "auto"


def _known(kind: str) -> str:
    """The name of a predictor, or `auto`."""
    names = [_AUTO, *PREDICTORS]
    if kind not in names:
        raise ValueError(f"there is no such predictor; {nearest(kind, names)}")
    return kind


class PredictorCard(Card):
    """`[predictor]`: what proposes the networks of further rounds, see `pipeline.stages.rounds`.

    Attributes:
        kind: a predictor of `evo_qnas.predict.PREDICTORS`, or `auto` for the simplest that cross-validates as well.
        score: column of the score; None takes `score_in_context`, `score` and `score_fisher` as far as they are there.
        measure: learn from networks after fine-tuning, or as assembled and calibrated.
        batch: networks per round.
    """

    kind: Annotated[str, AfterValidator(_known)] = _AUTO
    score: Literal["score", "score_in_context", "score_fisher"] | None = None
    measure: Literal["finetuned", "calibrated"] = "finetuned"
    batch: Count = 6


class SearchCard(Card):
    """`[search]`: what is minimised, under which limits and rules, by which algorithm.

    `pins` and `ties` are those of `TableProblem`: per block (or `"*"` for all) the values that `operator`,
    `weight_bits` or `activation_bits` must have, and groups of blocks that share one choice.

    Attributes:
        objectives: what is minimised: columns of the tables, or `module:function`.
        constraints: limits such as `latency_ms <= 4`.
        device: name or path of a device card whose flash and RAM are limits too; "" for none.
        pins: per block, or `*` for all, the values that `operator`, `weight_bits` or `activation_bits` must have.
        ties: groups of blocks that share one choice.
        algorithm: a name of `evo-qnas list algorithms`.
        evaluations: networks that are evaluated at most.
        population: networks that are kept and asked for at once.
        rounds: 2 and more for rounds in which a predictor proposes further networks; None for one.
    """

    objectives: Annotated[list[str], Field(min_length=1)] = ["score", "size_bytes"]
    constraints: list[str] = []
    device: str = ""
    pins: dict[str, dict[str, Any]] = {}
    ties: list[list[str]] = []
    algorithm: str = "nsga2"
    evaluations: Count = 20_000
    population: Annotated[int, Field(ge=4, le=10**6)] = 100
    rounds: Count | None = None


class FurtherSearch(SearchCard):
    """`[searches.NAME]`: one more search over the same tables, with picks of its own; leaves `archive-NAME.h5`.

    Attributes:
        pick_by: column whose share of the INT8 teacher's decides.
        pick_shares: for each the network with the best score within this share is validated.
    """

    pick_by: str = "size_bytes"
    pick_shares: list[Share] = [0.8, 0.67, 0.5]
