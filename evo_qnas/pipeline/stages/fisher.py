"""`score_fisher`: a score of every choice by gradients of the network's outputs; `[fisher]` of the card."""

import shutil
from typing import Any, final

import numpy as np

from evo_qnas.pipeline.context import RunContext, digest
from evo_qnas.pipeline.features import record_scoring_features
from evo_qnas.pipeline.jobs import in_jobs
from evo_qnas.pipeline.stages.base import Resources, RunState, Stage, required
from evo_qnas.pipeline.stages.tables import Scoring
from evo_qnas.tables import Tables

COLUMN = "score_fisher"
_SOURCE = (
    "distance of the network's outputs from the teacher's that the error of the block's output foretells to second "
    "order, {draws} gradients of each of {examples} search images"
)


@final
class FisherStage(Stage):
    """Leaves the column in `tables.h5`, and its values in `blocks/<block>/choices.json` beside the scores.

    The tables stage measures both in one pass; here blocks are scored again that were scored without.
    """

    name = "fisher"
    about = "a score by what an error of a block makes of the outputs; with [fisher]"
    part_of = "tables"

    def asked_for(self, context: RunContext) -> bool:
        """True with the section `[fisher]`."""
        return context.card.fisher is not None

    def fingerprint(self, context: RunContext) -> str:
        """That of all these scores."""
        return digest([context.fingerprints.fisher(name) for name in context.card.blocks.names])

    def run(self, context: RunContext, state: RunState, resources: Resources) -> RunState:
        """The state with the column in its tables."""
        return state.having(tables=add_fisher(context, required(state.tables, "tables"), jobs=resources.jobs))


def add_fisher(context: RunContext, tables: Tables, *, jobs: int) -> Tables:
    """The tables with the column `score_fisher` (and `tables.h5` with it)."""
    settings = context.card.fisher
    if settings is None:
        return tables
    names, scoring = list(tables.names), Scoring(context)
    missing = [name for name in names if scoring.with_fisher(name) is None]
    if COLUMN in tables.columns and not missing:
        return tables
    if missing:
        record_scoring_features(context, missing)
        in_jobs(scoring.anew, missing, context=context, jobs=jobs, label="blocks scored by gradients", names=missing)
        shutil.rmtree(context.paths.features, ignore_errors=True)
    rows = [_by_label(scoring.with_fisher(name)) for name in names]
    # Scored again, an operator may have been left out.
    kept = [
        np.array([label in known for label in block.labels], dtype=np.bool_)
        for block, known in zip(tables.blocks, rows, strict=True)
    ]
    tables = tables.keep_choices(kept)
    values, stderr = (
        [
            np.array([known[label][name] for label in block.labels])
            for block, known in zip(tables.blocks, rows, strict=True)
        ]
        for name in ("fisher", "fisher_stderr")
    )
    examples = min(settings.examples, len(context.splits.search))
    extended = tables.with_column(
        COLUMN,
        values,
        stderr=stderr,
        source=_SOURCE.format(draws=settings.draws, examples=examples),
        details={"draws": settings.draws, "examples": examples},
    )
    extended.save(context.paths.tables)
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(context.paths.tables)


def _by_label(choices: list[dict[str, Any]] | None) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Scored choices by operator, weight bits and activation bits."""
    return {(row["operator"], row["weight_bits"], row["activation_bits"]): row for row in choices or []}
