"""Commands that are killed while their workers are at work: no worker stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.fuzzing.networks import CARD, write_data
from evo_qnas.tables.generate import generate_tables
from tests.jobs.test_stop import at_work, eventually, in_proc, workers

SLOW = """
import time
from evo_qnas import objective

@objective(per_network=True)
def slow(networks):
    time.sleep(600)
    return 1.0
"""
SEARCH = ("search", "tables.h5", "--objective", "slow:slow", "--objective", "size_bytes", "--jobs", "2", "-o", "a.h5")
COMPARE = ("compare", "tables.h5", "--evaluations", "200000", "--seeds", "4", "--jobs", "2", "-o", "compared")
RUN = ("run", "card.toml", "--jobs", "2", "-o", "run", "--set", "distillation.steps=100000")


@in_proc
@pytest.mark.parametrize(
    "arguments", [SEARCH, COMPARE, pytest.param(RUN, marks=pytest.mark.slow)], ids=["search", "compare", "run"]
)
def test_no_worker_outlives_a_killed_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    generate_tables(6, operators=3).save(tmp_path / "tables.h5")
    (tmp_path / "slow.py").write_text(SLOW)
    write_data(tmp_path / "data")
    (tmp_path / "card.toml").write_text(CARD)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "evo_qnas.cli", *arguments]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            # Two workers and what counts their memory.
            eventually(lambda: process.poll() is not None or len(workers(process.pid)) >= 3, 240)
            assert process.poll() is None, process.stderr and process.stderr.read()
            started = workers(process.pid)
            assert len(started) >= 3
        finally:
            process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not any(at_work(each) for each in started), 60)
