"""Tables: score and costs of every choice, with the INT8 and INT4 teacher as baselines."""

import dataclasses
import logging
import math
import shutil
from collections.abc import Sequence
from typing import Any, final

import numpy as np

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.scoring.local import ChoiceScore, fixed_costs, score_operator
from evo_qnas.pipeline.context import RunContext, read_json, to_json
from evo_qnas.pipeline.features import map_features, record_scoring_features, scoring_features
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.refinement import refine_block, refined_bits, refined_weights
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage
from evo_qnas.tables import Block, Tables

logger = logging.getLogger(__name__)

COSTS = {"size_bytes": "bytes", "macs": "1", "bit_operations": "1"}


@final
class TablesStage(Stage):
    """Leaves `tables.h5` and `blocks/<block>/choices.json`, which carry their fingerprints."""

    name = "tables"
    about = "score and cost of every choice"

    def fingerprint(self, context: RunContext) -> str:
        """That of all scores."""
        return context.fingerprints.tables

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with tables."""
        return state.having(tables=make_tables(context, jobs=resources.jobs))


def make_tables(context: RunContext, *, jobs: int) -> Tables:
    """`tables.h5`, unless it is there."""
    path, stamp, fingerprint = context.paths.tables, context.paths.tables_stamp, context.fingerprints.tables
    if path.is_file() and read_json(stamp, fingerprint) is not None:
        return Tables.load(path)
    names = [shape.name for shape in context.shapes]
    few = refined_bits(context)
    if few:
        map_features(context, names)
    scoring = Scoring(context)
    record_scoring_features(context, [name for name in names if scoring.known(name) is None])
    rows = in_jobs(scoring, names, context=context, jobs=jobs, label="blocks scored", names=names)
    shutil.rmtree(context.paths.features, ignore_errors=True)
    fixed = fixed_costs(
        context.teacher, context.example, names, context.fixed_bits, scheme=context.card.quantization.scheme
    )
    method = "post-training quantization"
    if few:
        method += f", refined before it at {', '.join(map(str, few))} weight bits"
    costs = {name: float(cost) for name, cost in dataclasses.asdict(fixed).items()}
    _to_tables(names, rows, costs, method).save(path)
    write_text(stamp, to_json({"fingerprint": fingerprint}))
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(path)


@dataclasses.dataclass(frozen=True)
class Scoring:
    """Scores all choices of one block, refined first where the card says so; kept in `blocks/<block>/choices.json`."""

    context: RunContext

    def known(self, block: str) -> list[dict[str, Any]] | None:
        """The scores that are there; None where their file is damaged, too."""
        content = read_json(self.context.paths.choices(block), self.context.fingerprints.scores(block))
        choices = None if content is None else content.get("choices")
        return choices if _are_choices(choices) else None

    def __call__(self, block: str) -> list[dict[str, Any]]:
        """The scores of a block, measured where they are not there."""
        known = self.known(block)
        return self.anew(block) if known is None else known

    def with_fisher(self, block: str) -> list[dict[str, Any]] | None:
        """The scores that are there, with those by gradients; None where one is missing."""
        content = read_json(self.context.paths.choices(block), self.context.fingerprints.scores(block)) or {}
        known = self.known(block)
        if known is None or content.get("fisher") != self.context.fingerprints.fisher(block):
            return None
        numbers = [choice.get(name) for choice in known for name in ("fisher", "fisher_stderr")]
        return known if all(isinstance(number, int | float) for number in numbers) else None

    def anew(self, block: str) -> list[dict[str, Any]]:
        """The scores, measured."""
        context, quantization = self.context, self.context.card.quantization
        features = scoring_features(context, block)
        refine_block(context, block, features.calibration)
        choices: list[dict[str, Any]] = []
        for operator in [TEACHER, *context.candidates.labels(block)]:
            scores = score_operator(
                operator,
                context.candidates.trained(block, operator),
                weight_bits=quantization.weight_bits,
                activation_bits=quantization.activation_bits,
                calibration=features.calibration,
                inputs=features.inputs,
                targets=features.targets,
                variance=features.variance,
                channel_axis=context.shape(block).channel_axis,
                scheme=quantization.scheme,
                recipe=quantization.recipe,
                refined=refined_weights(context, block, operator),
                float_bits=context.candidates.offers.float_bits(block, operator),
                gradients=features.gradients,
            )
            odd = [choice for choice in scores if not math.isfinite(_worst(choice))]
            if odd and operator != TEACHER:
                bits = f"w{odd[0].weight_bits} a{odd[0].activation_bits}"
                context.leave_out(block, operator, f"its score at {bits} is {_worst(odd[0])}")
                logger.warning("operator %r is left out of block %r: its score is no number", operator, block)
                continue
            for choice in odd:
                check_score(
                    _worst(choice), f"block {block!r}, {operator} w{choice.weight_bits} a{choice.activation_bits}"
                )
            choices += [_row(choice) for choice in scores]
        content: dict[str, Any] = {"fingerprint": context.fingerprints.scores(block), "choices": choices}
        if features.gradients is not None:
            content["fisher"] = context.fingerprints.fisher(block)
        write_text(context.paths.choices(block), to_json(content))
        return choices


def _worst(choice: ChoiceScore) -> float:
    """The score, or the one by gradients where that is no number."""
    by_gradients = 0.0 if choice.fisher is None else choice.fisher
    return choice.score if math.isfinite(by_gradients) else by_gradients


def _row(choice: ChoiceScore) -> dict[str, Any]:
    """A choice as a file keeps it: without what was not measured."""
    return {name: value for name, value in dataclasses.asdict(choice).items() if value is not None}


def _are_choices(value: Any) -> bool:
    """True for scored choices, as a file keeps them."""
    try:
        return bool(value) and all(
            isinstance(choice["operator"], str)
            and all(isinstance(choice[name], int) for name in ("weight_bits", "activation_bits"))
            and isinstance(choice["stderr"], int | float)
            and all(math.isfinite(number) for number in (choice["score"], *(choice["costs"][name] for name in COSTS)))
            for choice in value
        )
    except (KeyError, TypeError, OverflowError):
        return False


def check_score(score: float, choice: str) -> None:
    """Refuses a score that is no number; `choice` says whose it is.

    Raises:
        NetworkError: with the way out.
    """
    if not math.isfinite(score):
        raise NetworkError(
            f"{choice}: the score is {score}, its outputs or the teacher's are no numbers: look at teacher.weights, "
            "lower distillation.learning_rate, or leave the operator out where it stands in [[operators]]"
        )


def _to_tables(
    names: Sequence[str], rows: Sequence[Sequence[dict[str, Any]]], fixed: dict[str, float], method: str
) -> Tables:
    """Tables of scored choices; `method` is how they were quantized."""
    blocks = [
        Block(
            name=name,
            operators=tuple(choice["operator"] for choice in choices),
            weight_bits=np.array([choice["weight_bits"] for choice in choices], dtype=np.int64),
            activation_bits=np.array([choice["activation_bits"] for choice in choices], dtype=np.int64),
        )
        for name, choices in zip(names, rows, strict=True)
    ]
    columns = {"score": [np.array([choice["score"] for choice in choices]) for choices in rows]}
    for cost in COSTS:
        columns[cost] = [np.array([choice["costs"][cost] for choice in choices], dtype=float) for choices in rows]
    baselines = {}
    for bits in (8, 4):
        genome = [_position(block, (TEACHER, bits, bits)) for block in blocks]
        if None not in genome:
            baselines[f"teacher_int{bits}"] = [index for index in genome if index is not None]
    return Tables.from_arrays(
        columns,
        blocks=blocks,
        units=COSTS,
        fixed=fixed,
        stderr={"score": [np.array([choice["stderr"] for choice in choices]) for choices in rows]},
        sources={
            "score": f"noise-to-signal ratio of the block's output after {method}, search images",
            **dict.fromkeys(COSTS, "counted from the quantized layers"),
        },
        baselines=baselines,
    )


def _position(block: Block, label: tuple[str, int, int]) -> int | None:
    return block.labels.index(label) if label in block.labels else None
