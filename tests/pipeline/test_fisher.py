"""`[fisher]` of a card: measured with the scores or after them, by one process or two, and searched on."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.errors import CardError, ProblemError
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.problems import expected_tables
from evo_qnas.tables import Tables

FISHER = ["fisher.draws=2", "fisher.examples=40"]


def run(folder: Path, changes: list[str], until: str = "tables", jobs: int = 1) -> Tables:
    name, card = load_card("digits", changes=changes, seed=5)
    run_card(name, card, folder, jobs=jobs, until=until, anew=True)
    return Tables.load(folder / "tables.h5")


def test_scores_by_gradients_with_the_others_and_after_them(
    small: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass for both gives what a section added later gives, in a run that is otherwise kept; a search uses it."""
    from evo_qnas.pipeline.stages import tables as stage

    scored = list[str]()
    score = stage.score_operator

    def counting(operator: str, *arguments: Any, **keywords: Any) -> Any:
        scored.append(operator)
        return score(operator, *arguments, **keywords)

    monkeypatch.setattr(stage, "score_operator", counting)
    together = run(tmp_path / "one", [*small, *FISHER, 'search.objectives=["score_fisher","size_bytes"]'], "search")
    once = len(scored)
    assert once == 6 - 1, "two blocks of up to three operators, one of them where no identity fits"
    column = together.column("score_fisher")
    assert column.stderr is not None
    for values, spread in zip(column.values, column.stderr, strict=True):
        assert (values > 0.0).all()
        assert (spread > 0.0).all()
        # 2, 4 and 8 bits of the teacher's own block, with activations at 8.
        assert values[1] > values[3] > values[5]
    assert dict(column.details) == {"draws": 2, "examples": 40}
    assert "2 gradients of each of 40 search images" in column.source
    archive = Archive.load(tmp_path / "one" / "archive.h5")
    np.testing.assert_allclose(archive.objectives[:, 0], together.total("score_fisher", archive.genomes))
    plain = run(tmp_path / "two", small)
    assert "score_fisher" not in plain.columns
    scored.clear()
    later = run(tmp_path / "two", [*small, *FISHER], jobs=1)
    assert len(scored) == once, "scored again, with gradients"
    for name in ("score", "score_fisher"):
        for one, two in zip(later.column(name).values, together.column(name).values, strict=True):
            np.testing.assert_array_equal(one, two)
    scored.clear()
    run(tmp_path / "two", [*small, *FISHER])
    assert not scored, "all is there"
    other = run(tmp_path / "two", [*small, "fisher.draws=3", "fisher.examples=40"])
    assert len(scored) == once
    assert not np.array_equal(other.column("score_fisher").values[0], later.column("score_fisher").values[0])


def test_two_processes_give_the_same_scores(small: list[str], tmp_path: Path) -> None:
    one, two = (run(tmp_path / str(jobs), [*small, *FISHER], jobs=jobs) for jobs in (1, 2))
    for values, others in zip(one.column("score_fisher").values, two.column("score_fisher").values, strict=True):
        np.testing.assert_array_equal(values, others)


def test_gradients_that_do_not_fit_the_budget_are_made_for_each_block(small: list[str], tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", [*small, *FISHER])
    few = run(tmp_path / "few", [*small, *FISHER, "distillation.features.budget_gib=1e-6"])
    for values, others in zip(whole.column("score_fisher").values, few.column("score_fisher").values, strict=True):
        np.testing.assert_allclose(values, others, rtol=1e-5)


def test_the_section_is_foretold_and_asked_for(small: list[str], tmp_path: Path) -> None:
    name, card = load_card("digits", changes=[*small, *FISHER])
    context = RunContext(name=name, card=card, folder=tmp_path)
    assert "score_fisher" in expected_tables(context).columns
    without = replace(context, card=card.model_copy(update={"fisher": None}))
    assert "score_fisher" not in expected_tables(without).columns
    assert context.fingerprints.scores("stages.0") == without.fingerprints.scores("stages.0")
    assert context.fingerprints.fisher("stages.0") != without.fingerprints.fisher("stages.0")
    with pytest.raises(CardError, match=r"predictor.score = 'score_fisher' needs the section \[fisher\]"):
        load_card("digits", changes=['predictor.score="score_fisher"'])
    with pytest.raises(ProblemError, match=r"no column .score_fisher."):
        run(tmp_path / "asked", [*small, 'search.objectives=["score_fisher","size_bytes"]'])
