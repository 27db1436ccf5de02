"""The examples run, and what a script leaves does not depend on how often it was killed."""

import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import evo_qnas
from tests.study.conftest import FAST

EXAMPLES = Path(evo_qnas.__file__).resolve().parent.parent / "examples"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}


def test_twenty_five_lines_from_a_model_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands, but for shorter training and search."""
    pytest.importorskip("onnxruntime")
    script, compress = EXAMPLES / "your_own_model.py", evo_qnas.compress
    assert len(script.read_text().splitlines()) <= 25
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path)])
    quick = {**FAST, "validation": {"random_networks": 0, "least_picks": 1, "size_shares": [0.6]}, "jobs": 1}
    monkeypatch.setattr(evo_qnas, "compress", lambda *given, **options: compress(*given, **{**options, **quick}))
    torch.manual_seed(0)
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    assert "accuracy" in said
    assert "failed" not in said
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(said.rstrip().splitlines()[-4:])  # how the file is run
    found: dict[str, Any] = {}
    exec(lines, found)
    assert found["outputs"][0].shape == (1, 10)
    assert (tmp_path / "mine.onnx").is_file()


SCRIPT = """
import sys
import torch
import evo_qnas as eq
from tests.study.conftest import FAST, Convolutions, squared

images = torch.randn(96, 3, 6, 6, generator=torch.Generator().manual_seed(0))
torch.manual_seed(0)
model = Convolutions(1)
offset = 0.5
study = eq.Study(
    model,
    train=(images, images.mean(dim=(1, 2, 3))),
    metric=eq.metrics.per_example(lambda out, wanted: (out[:, 0] - wanted + offset).abs(), name="MAE", maximize=False),
    loss=squared, blocks=["first", "second"], operators=["identity", "depthwise_separable"], folder=sys.argv[1], **FAST,
)
study.run("networks", jobs=2)
"""


def _files(folder: Path) -> dict[str, bytes]:
    names = ("*.safetensors", "choices.json", "network.json", "graph.json", "tables.h5")
    return {str(path.relative_to(folder)): path.read_bytes() for name in names for path in folder.rglob(name)}


@pytest.mark.slow
def test_a_script_killed_at_any_stage_ends_with_the_same_files(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(folder: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, str(script), str(tmp_path / folder)], env=ENVIRONMENT)

    assert start("whole").wait() == 0
    for mark in ("teacher.safetensors", "blocks/first/identity.safetensors", "tables.h5", "archive.h5"):
        process = start("killed")
        while not (tmp_path / "killed" / mark).exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start("killed").wait() == 0
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")
