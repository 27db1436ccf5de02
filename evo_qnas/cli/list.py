"""`evo-qnas list`: what there is."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evo_qnas.cards import list_cards, read_toml

_OBJECTIVES = {
    "COLUMN": "a column of the tables, summed over blocks and fixed part (peak memory: the largest), in its direction",
    "mean:COLUMN": "that sum, divided by the number of blocks",
    "max:COLUMN": "the largest value of a block",
    "worst:COLUMN": "the largest of that sum over several devices, columns COLUMN@device",
    "distinct(LABEL)": "number of different operator, weight_bits or activation_bits",
    "module:function": "a function of evo_qnas.Networks, see evo_qnas.objective",
}


class What(StrEnum):
    """What can be listed."""

    problems = "problems"
    operators = "operators"
    algorithms = "algorithms"
    objectives = "objectives"
    datasets = "datasets"
    runtimes = "runtimes"


def register(app: typer.Typer) -> None:
    """Adds the verb to the command line."""
    app.command(name="list", epilog="Example: evo-qnas list algorithms")(run)


def run(what: Annotated[What, typer.Argument(help="What to list.", show_default=False)]) -> None:
    """Names and one line each of the problems, operators, algorithms, objectives, data sets or runtimes there are."""
    rows = _rows(what)
    width = max((len(name) for name in rows), default=0)
    for name, text in rows.items():
        print(f"{name.ljust(width)}  {text}".rstrip())


def _rows(what: What) -> dict[str, str]:
    """Names and texts."""
    if what is What.problems:
        return {name: _about(path) for name, path in list_cards("problems").items()}
    if what is What.operators:
        blocks = {name: _about(path) for name, path in list_cards("operators/blocks").items()}
        return blocks | {f"variation/{name}": _about(path) for name, path in list_cards("operators/variation").items()}
    if what is What.algorithms:
        from evo_qnas.search import ALGORITHMS

        return dict(ALGORITHMS)
    if what is What.datasets:
        from evo_qnas.data import DATASETS

        return dict(DATASETS)
    if what is What.runtimes:
        from evo_qnas.networks.export import RUNTIMES

        return {name: runtime.about for name, runtime in RUNTIMES.items()}
    return _OBJECTIVES


def _about(path: Path) -> str:
    """One line about a card: its description, else its first comment or docstring line."""
    if path.suffix == ".toml":
        said = read_toml(path).get("description") or read_toml(path).get("title")
        if isinstance(said, str):
            return said.strip().splitlines()[0]
    lines = [line.strip(' #"\n') for line in path.read_text(encoding="utf-8").splitlines()]
    return next((line for line in lines if line), "")
