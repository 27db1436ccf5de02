"""`score_in_context`: a second score of every choice, measured inside the teacher; `[in_context]` of the card."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch

from evo_qnas.data.nests import Nest
from evo_qnas.files import write_text
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.scoring.in_context import score_in_context, teacher_outputs
from evo_qnas.networks.training.distill import block_features
from evo_qnas.pipeline.context import RunContext, digest, read_json, to_json
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.refinement import refined_weights
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.stages.tables import check_score
from evo_qnas.tables import Tables

logger = logging.getLogger(__name__)

COLUMN = "score_in_context"
_MEASURES = {
    "kl": "Kullback-Leibler divergence from the teacher's output with this block alone replaced, search images",
    "loss": "rise of the task's loss over the teacher's with this block alone replaced, search images",
}


@final
class InContextStage(Stage):
    """Leaves the column in `tables.h5` and `blocks/<block>/in_context.json`, which carry their fingerprints."""

    name = "in_context"
    about = "a second score, measured inside the whole network; with [in_context]"
    part_of = "tables"

    def asked_for(self, context: RunContext) -> bool:
        """True with the section `[in_context]`."""
        return context.card.in_context is not None

    def fingerprint(self, context: RunContext) -> str:
        """That of all in-context scores."""
        return digest([context.fingerprints.in_context(name) for name in context.card.blocks.names])

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the column in its tables."""
        return state.having(tables=add_in_context(context, required(state.tables, "tables"), jobs=resources.jobs))


def add_in_context(context: RunContext, tables: Tables, *, jobs: int) -> Tables:
    """The tables with the column `score_in_context` (and `tables.h5` with it); its source says how long it took.

    Operators with which the network's outputs are no numbers are left out of the tables, too.
    """
    settings = context.card.in_context
    if settings is None:
        return tables
    names, scoring = [shape.name for shape in context.shapes], _InContext(context)
    if COLUMN in tables.columns and all(scoring.known(name) is not None for name in names):
        return tables
    parts = in_jobs(scoring, names, context=context, jobs=jobs, label="blocks scored in context", names=names)
    seconds = sum(float(part["seconds"]) for part in parts)
    wanted = {name: {TEACHER, *context.candidates.labels(name)} for name in names}
    kept = [
        np.array([operator in wanted[block.name] for operator in block.operators], dtype=np.bool_)
        for block in tables.blocks
    ]
    extended = tables.keep_choices(kept).with_column(
        COLUMN,
        [np.array(part["score"]) for part in parts],
        stderr=[np.array(part["stderr"]) for part in parts],
        source=f"{_MEASURES[settings.measure]}; {seconds:.0f} s of one core",
        details={"seconds": round(seconds, 1)},
    )
    extended.save(context.paths.tables)
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(context.paths.tables)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


@dataclass(frozen=True)
class _InContext:
    """Scores all choices of one block inside the teacher; kept in `blocks/<block>/in_context.json`."""

    context: RunContext

    def known(self, block: str) -> dict[str, Any] | None:
        """The scores that are there; None where their file is damaged, too."""
        content = read_json(self.context.paths.in_context(block), self.context.fingerprints.in_context(block)) or {}
        try:
            numbers = [*content["score"], content["seconds"]]
            good = all(math.isfinite(number) for number in numbers) and all(map(_is_number, content["stderr"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        return {key: value for key, value in content.items() if key != "fingerprint"} if good else None

    def __call__(self, block: str) -> dict[str, Any]:
        context, settings = self.context, self.context.card.in_context
        known = self.known(block)
        if known is not None or settings is None:
            return known or {}
        start = time.process_time()
        features, _ = block_features(context.teacher, block, context.calibration)
        outputs = teacher_outputs(context.teacher, context.splits.search)
        rows: list[tuple[float, float]] = []
        for operator in [TEACHER, *context.candidates.labels(block)]:
            scores = self._scores(block, operator, features, outputs, settings.measure)
            odd = [score for score, _ in scores if not math.isfinite(score)]
            if odd and operator != TEACHER:
                context.leave_out(block, operator, f"its score inside the network is {odd[0]}")
                logger.warning(
                    "operator %r is left out of block %r: its score inside the network is no number", operator, block
                )
                continue
            for score in odd:
                check_score(score, f"block {block!r} in context")
            rows += scores
        content = {
            "score": [score for score, _ in rows],
            "stderr": [stderr for _, stderr in rows],
            "seconds": time.process_time() - start,
        }
        fingerprint = context.fingerprints.in_context(block)
        write_text(context.paths.in_context(block), to_json({"fingerprint": fingerprint, **content}))
        return content

    def _scores(
        self, block: str, operator: str, features: torch.Tensor, outputs: Nest, measure: str
    ) -> list[tuple[float, float]]:
        """Score and standard error of an operator at every combination of bits."""
        context = self.context
        return score_in_context(
            context.teacher,
            block,
            operator,
            context.candidates.trained(block, operator),
            weight_bits=context.card.quantization.weight_bits,
            activation_bits=context.card.quantization.activation_bits,
            features=features,
            calibration=context.calibration,
            images=context.splits.search,
            outputs=outputs,
            task=context.task,
            measure=measure,
            scheme=context.card.quantization.scheme,
            recipe=context.card.quantization.recipe,
            borrowed=context.borrowed,
            refined=refined_weights(context, block, operator),
            float_bits=context.candidates.offers.float_bits(block, operator),
        )
