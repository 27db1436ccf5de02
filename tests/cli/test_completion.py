"""Completion: values of arguments and options, by the names that there are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from evo_qnas.cli import completion
from evo_qnas.plots import KINDS as PICTURES
from evo_qnas.search import ALGORITHMS
from evo_qnas.tables.importers import KINDS as TABLE_KINDS

ROOT = Path(__file__).resolve().parent.parent.parent


def completed(line: str) -> list[str]:
    """What the shell offers for the last word of a line."""
    words = line.split(" ")
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_EVO_QNAS_COMPLETE": "complete_bash"}
    code = (
        "import sys\nfrom evo_qnas.cli import main\nsys.argv = ['evo-qnas']\n"
        "try:\n    main()\nfinally:\n    assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("evo-qnas run digi", ["digits"]),
        (
            "evo-qnas search examples/costs.csv --objective ma",
            ["macs", "max:score", "max:size_bytes", "max:macs", "max:bit_operations"],
        ),
    ],
)
def test_a_shell_is_offered_names(line: str, offered: list[str]) -> None:
    assert completed(line) == offered


def test_names_are_those_of_the_registries() -> None:
    assert set(ALGORITHMS) >= set(completion.ALGORITHMS)
    from evo_qnas.search.algorithms import REGISTRY

    assert REGISTRY.ours == completion.ALGORITHMS
    assert tuple(PICTURES) == completion.PICTURES
    assert tuple(TABLE_KINDS) == completion.TABLE_KINDS


def test_names_of_the_network_half_are_those_of_the_registries() -> None:
    pytest.importorskip("torch")
    from evo_qnas.networks.export import RUNTIMES
    from evo_qnas.pipeline.stages import ordered_stages
    from evo_qnas.pipeline.stages.registry import REGISTRY

    ours = [stage.name for stage in ordered_stages() if not stage.part_of and stage.name in REGISTRY.ours]
    assert list(completion.STAGES) == ours
    assert RUNTIMES.ours == completion.RUNTIMES


def test_cards_files_and_networks_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "networks" / "1a2b").mkdir(parents=True)
    (tmp_path / "networks" / "1a2b" / "weights.safetensors").touch()
    (tmp_path / "mine.toml").touch()
    (tmp_path / "mine.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert completion.problem_cards("mi") == ["mine.toml"]
    assert completion.suites("n") == ["networks/"]
    assert completion.algorithms("sp") == ["spea2"]
    assert completion.of(["a", "ab"])("ab") == ["ab"]
    assert set(completion.device_cards("ethos")) == {"ethos_u55", "ethos_u65"}
    assert "default" in completion.variations("")


class Line:
    """What a half-typed line was parsed into."""

    def __init__(self, folder: Path) -> None:
        self.params: dict[str, object] = {}
        self.args = ["--network", str(folder)]


def test_ids_of_networks_are_offered(tmp_path: Path) -> None:
    for name in ("1a2b", "3c4d"):
        (tmp_path / "networks" / name).mkdir(parents=True)
        (tmp_path / "networks" / name / "weights.safetensors").touch()
    assert completion.networks(Line(tmp_path), "") == ["teacher_int8", "1a2b", "3c4d"]
    assert completion.columns(Line(tmp_path), "") == []
