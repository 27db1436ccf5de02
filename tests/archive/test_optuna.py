"""An archive as a real Optuna study."""

import numpy as np
import pytest

import evo_qnas as eq


@pytest.mark.filterwarnings("default")
def test_a_study_holds_every_evaluation_and_the_same_front() -> None:
    optuna = pytest.importorskip("optuna", reason="needs the extra optuna: pip install 'evo-qnas[optuna]'")
    rng = np.random.default_rng(0)
    tables = eq.Tables.from_arrays({name: [rng.random(4) for _ in range(5)] for name in ("score", "size_bytes")})
    archive = eq.search(eq.TableProblem(tables, constraints=["size_bytes <= 3"]), evaluations=80, population=20)
    study = archive.to_optuna()
    assert [list(trial.params.values()) for trial in study.trials] == archive.genomes.tolist()
    assert [trial.values for trial in study.trials] == archive.objectives.tolist()
    assert all(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials)
    best = {tuple(trial.values) for trial in study.best_trials}
    assert best == {tuple(values) for values in archive.front.objectives.tolist()}
