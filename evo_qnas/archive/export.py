"""Archives for other tools."""

from importlib import import_module
from typing import Any

from evo_qnas.archive.evaluations import Evaluations
from evo_qnas.archive.header import Header
from evo_qnas.errors import ArchiveError
from evo_qnas.problem.outcome import OK
from evo_qnas.tables import Tables


def to_optuna(header: Header, tables: Tables | None, evaluations: Evaluations) -> Any:
    """An in-memory Optuna study: one trial per evaluation, one integer parameter per block, limits as constraints.

    Raises:
        ArchiveError: optuna is not installed.
    """
    try:
        optuna: Any = import_module("optuna")
    except ModuleNotFoundError as error:
        raise ArchiveError("an Optuna study needs optuna, which is not installed: pip install optuna") from error
    highest = tables.choices - 1 if tables is not None else evaluations.genomes.max(axis=0, initial=0)
    space = {
        name: optuna.distributions.IntDistribution(0, int(high))
        for name, high in zip(header.blocks, highest, strict=True)
    }
    maximize = [info.maximize for info in header.objectives]
    study = optuna.create_study(directions=["maximize" if up else "minimize" for up in maximize])
    trials = []
    for row in range(len(evaluations)):
        fine = evaluations.state[row] == OK
        values = [-v if up else v for v, up in zip(evaluations.objectives[row].tolist(), maximize, strict=True)]
        trials.append(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if fine else optuna.trial.TrialState.FAIL,
                params=dict(zip(header.blocks, evaluations.genomes[row].tolist(), strict=True)),
                distributions=space,
                values=values if fine else None,
                system_attrs={"constraints": evaluations.constraints[row].tolist()},
                user_attrs={"generation": int(evaluations.generation[row])},
            )
        )
    study.add_trials(trials)
    return study
