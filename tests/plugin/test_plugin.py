"""A package of others, installed by its entry points alone, brings a part of every kind and runs a whole card.

What pip leaves of an installed package is its code on the path and its `.dist-info`; the test makes both, since a
real `pip install` would need a network for the build tool.
"""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evo_qnas.cli import app
from evo_qnas.errors import CardError
from evo_qnas.networks.models.weights import load_weights
from evo_qnas.tables import Tables

HERE = Path(__file__).resolve().parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS: dict[str, dict[str, str]] = PROJECT["entry-points"]

CARD = """
task = "regression"
seed = 1

[data]
name = "squares"
options = { train = 96 }

[teacher]
architecture = "squares_plugin.squares:teacher"

[teacher.training]
epochs = 12
batch_size = 16
learning_rate = 2e-2

[blocks]
names = ["1"]

[[operators]]
card = "depthwise_separable"
kernel = [3]
depth = [1]

[quantization]
scheme = "power_of_two"
weight_bits = [4, 8]
activation_bits = [8]
calibration_images = 64

[distillation]
steps = 8
batch_size = 16

[search]
algorithm = "walks"
evaluations = 4

[validation]
size_shares = [0.9]
least_picks = 1
random_networks = 0

[finetuning]
epochs = 1
batch_size = 32
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Of a Python in which the package is installed."""
    site = tmp_path_factory.mktemp("site")
    info = site / "squares_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: squares-plugin\nVersion: 1.0\n")
    sections = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in GROUPS.items()]
    (info / "entry_points.txt").write_text("\n".join(sections))
    path = os.pathsep.join([str(site), str(HERE), str(HERE.parent.parent), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path}


# In one process, since each takes seconds to import torch: what is registered, then the verbs, as JSON.
SCRIPT = """
import json, sys
from typer.testing import CliRunner
from evo_qnas.cli import app
from evo_qnas.data import DATA_SOURCES
from evo_qnas.networks.capture.operations.registry import OPERATIONS
from evo_qnas.networks.export import RUNTIMES
from evo_qnas.networks.quantization.scheme import SCHEMES
from evo_qnas.networks.tasks.base import TASKS
from evo_qnas.pipeline.stages.registry import REGISTRY as STAGES
from evo_qnas.search.algorithms import REGISTRY as ALGORITHMS

every = (TASKS, DATA_SOURCES, SCHEMES, OPERATIONS, RUNTIMES, ALGORITHMS, STAGES)
listed = {each.group: sorted(set(each.names()) - set(each.ours)) for each in every}
for each in every:
    for name in each.names():
        each.get(name)
done = {"listed": listed}
for call in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, call)
    done[call[0]] = [result.exit_code, result.output]
print(json.dumps(done))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "mine.toml").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def done(environment: dict[str, str], folder: Path) -> dict[str, Any]:
    """What a process says in which the package is installed: its parts, a run of the card, and an export of it."""
    run = ["run", str(folder / "mine.toml"), "-o", str(folder / "run"), "--jobs", "2"]
    export = ["export", str(folder / "run"), "--network", "teacher_int8", "--trust", "-o", str(folder / "network.xyz")]
    command = [sys.executable, "-c", SCRIPT, json.dumps([run, export])]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_the_package_has_one_file_for_each_kind() -> None:
    files = {value.partition(":")[0] for names in GROUPS.values() for value in names.values()}
    assert len(files) == len(GROUPS) == 7
    for name in files:
        text = (HERE / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert "squares_plugin" not in text, f"{name} needs another file of the package"


@pytest.mark.slow
def test_every_kind_is_listed(done: dict[str, Any]) -> None:
    assert done["listed"] == {group: sorted(names) for group, names in GROUPS.items()}


@pytest.mark.slow
def test_a_card_of_the_package_runs_to_its_summary(done: dict[str, Any], folder: Path) -> None:
    """Task, data, scheme, algorithm and stage come from the package, in worker processes too; so does the runtime."""
    code, output = done["run"]
    assert code == 0, output
    assert "RMSE" in output
    summary = json.loads((folder / "run" / "summary.json").read_text())
    assert (summary["task"], summary["search"]["algorithm"]) == ("regression", "walks")
    assert summary["metric"] == {"name": "RMSE", "maximize": False, "unit": ""}
    assert summary["teacher_float"]["metric"] < 1.5, "sides of 1..6 have a standard deviation of 1.7"
    assert int((folder / "run" / "count.txt").read_text()) > 500
    for entry in summary["networks"]:
        assert entry["predicted"]["size_bytes"] == entry["size_bytes"]
        assert entry["onnx"]["failures"] == []
        tensors, _ = load_weights(folder / "run" / "networks" / entry["id"] / "weights.safetensors")
        scales = [tensor for name, tensor in tensors.items() if name.endswith(".scale")]
        assert scales
        assert all(bool((tensor.log2() % 1.0 == 0.0).all()) for tensor in scales if tensor.ndim == 0)
    assert {"score", "size_bytes"} <= set(Tables.load(folder / "run" / "tables.h5").columns)
    code, output = done["export"]
    assert code == 0, output
    assert "RMSE, the integer reference and torch" in output
    assert (folder / "network.xyz").is_file()


def test_without_the_package_its_names_are_unknown(folder: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["run", str(folder / "mine.toml"), "-o", str(tmp_path / "run")])
    assert isinstance(ran.exception, CardError)
    assert "quantization.scheme = 'power_of_two': there is no scheme 'power_of_two'" in str(ran.exception)
