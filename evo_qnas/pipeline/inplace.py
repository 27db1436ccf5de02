"""`score_inplace`: a second score of every choice, measured inside the teacher; needs `[inplace]` in the card."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evo_qnas.files import write_text
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.scoring.in_context import score_in_context, teacher_outputs
from evo_qnas.networks.training.distill import block_features
from evo_qnas.pipeline.refining import refined_weights
from evo_qnas.pipeline.stages import in_jobs
from evo_qnas.pipeline.workplace import Workplace, digest, read_json, to_json
from evo_qnas.tables import Tables

COLUMN = "score_inplace"
_MEASURES = {
    "kl": "Kullback-Leibler divergence from the teacher's output with this block alone replaced, search images",
    "loss": "rise of the task's loss over the teacher's with this block alone replaced, search images",
}


def inplace_stage(place: Workplace, tables: Tables, *, jobs: int) -> Tables:
    """The tables with the column `score_inplace` (and `tables.h5` with it); its source says how long it took."""
    settings = place.card.inplace
    if settings is None:
        return tables
    names = [shape.name for shape in place.shapes]
    known = [read_json(_path(place, name), _fingerprint(place, name)) for name in names]
    if COLUMN in tables.columns and all(part is not None for part in known):
        return tables
    parts = in_jobs(_InPlace(place), names, place=place, jobs=jobs, label="blocks scored in place", names=names)
    seconds = sum(float(part["seconds"]) for part in parts)
    found = tables.with_column(
        COLUMN,
        [np.array(part["score"]) for part in parts],
        stderr=[np.array(part["stderr"]) for part in parts],
        source=f"{_MEASURES[settings.measure]}; {seconds:.0f} s of one core",
        details={"seconds": round(seconds, 1)},
    )
    path = place.folder / "tables.h5"
    found.save(path)
    # From the file, so that a first run and a resumed one see the very same tables.
    return Tables.load(path)


def _path(place: Workplace, block: str) -> Path:
    return place.folder / "blocks" / block / "inplace.json"


def _fingerprint(place: Workplace, block: str) -> str:
    """What the scores of a block depend on."""
    settings = place.card.inplace
    return digest("inplace", place.scores_fingerprint(block), None if settings is None else settings.measure)


@dataclass(frozen=True)
class _InPlace:
    """Scores all choices of one block inside the teacher; kept in `blocks/<block>/inplace.json`."""

    place: Workplace

    def __call__(self, block: str) -> dict[str, Any]:
        place, settings = self.place, self.place.card.inplace
        known = read_json(_path(place, block), _fingerprint(place, block))
        if known is not None or settings is None:
            return {key: value for key, value in (known or {}).items() if key != "fingerprint"}
        start = time.process_time()
        features, _ = block_features(place.teacher, block, place.calibration)
        outputs = teacher_outputs(place.teacher, place.splits.search)
        rows: list[tuple[float, float]] = []
        for operator in [TEACHER, *place.candidates(block)]:
            rows += score_in_context(
                place.teacher,
                block,
                operator,
                place.trained(block, operator),
                weight_bits=place.card.quantization.weight_bits,
                activation_bits=place.card.quantization.activation_bits,
                features=features,
                calibration=place.calibration,
                images=place.splits.search,
                outputs=outputs,
                task=place.task,
                measure=settings.measure,
                refined=refined_weights(place, block, operator),
            )
        content = {
            "score": [score for score, _ in rows],
            "stderr": [stderr for _, stderr in rows],
            "seconds": time.process_time() - start,
        }
        write_text(_path(place, block), to_json({"fingerprint": _fingerprint(place, block), **content}))
        return content
