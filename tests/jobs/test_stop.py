"""A command that is told to end."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from evo_qnas import cli
from evo_qnas.jobs import spread

@cli.app.command()
def rest() -> None:
    list(spread(time.sleep, [600, 600], jobs=2))

sys.argv = ["evo-qnas", "rest"]
cli.main()
"""


def workers(process: int) -> list[int]:
    """Processes that a process started."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def at_work(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")
def test_a_terminated_command_takes_its_workers_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=subprocess.PIPE, text=True) as command:
        assert eventually(lambda: len(workers(command.pid)) >= 3)  # two workers and what counts their memory
        started = workers(command.pid)
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGTERM
    assert said == "evo-qnas: stopped by SIGTERM: what was finished is kept, run the same command again\n"
    assert eventually(lambda: not any(at_work(process) for process in started))


def test_what_breaks_on_the_way_out_does_not_change_the_exit_code() -> None:
    body = """
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise BrokenPipeError(32, "a worker's pipe")
"""
    script = SCRIPT.replace("\n    list(spread(time.sleep, [600, 600], jobs=2))\n", body).replace(
        "import sys", "import signal, sys"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert ended.stderr == "evo-qnas: stopped by SIGTERM: what was finished is kept, run the same command again\n"
