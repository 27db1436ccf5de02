"""What candidates go through in the stage of blocks."""

from pathlib import Path

import pytest
from torch import nn

from evo_qnas.networks.training.correction import Correction, correct
from evo_qnas.networks.training.features import Features
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.stages import blocks


def test_candidates_are_corrected_before_they_learn_where_the_card_says_so(
    tmp_path: Path, small: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Correction] = []

    def noting(candidate: nn.Module, block: nn.Module, features: Features, *, device: str) -> Correction:
        found.append(correct(candidate, block, features, device=device))
        return found[-1]

    monkeypatch.setattr(blocks, "correct", noting)
    changes = [*small, "distillation.correct=true"]
    name, card = load_card("digits", changes=changes, seed=5)
    run_card(name, card, tmp_path, jobs=1, until="blocks")
    assert [bool(each.layers) for each in found] == [True, True, False]  # an identity has no layers
    assert all(each.after < each.before for each in found if each.layers)
