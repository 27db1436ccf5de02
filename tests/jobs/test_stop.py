"""A command that is told to end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from joblib.externals.loky import ProcessPoolExecutor, reusable_executor
from joblib.externals.loky.backend import get_context

from evo_qnas.jobs import workers as workers_module

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


# A run of the tests in the background, or under nohup, hands on that these signals are ignored.
PLAIN_SIGNALS = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for _number in (signal.SIGHUP, signal.SIGTERM):
    signal.signal(_number, signal.SIG_DFL)
"""


@contextmanager
def start(script: str = SCRIPT) -> Iterator[subprocess.Popen[str]]:
    """A script of its own process, which does not outlive the test."""
    with subprocess.Popen([sys.executable, "-c", PLAIN_SIGNALS + script], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


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


in_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes in /proc")


@in_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_told_to_end_takes_its_workers_with_it(number: signal.Signals) -> None:
    with start() as command:
        assert eventually(lambda: len(workers(command.pid)) >= 3)  # two workers and what counts their memory
        started = workers(command.pid)
        command.send_signal(number)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 128 + number, said
    assert (
        said.count(f"evo-qnas: stopped by {number.name}: what was finished is kept, run the same command again\n") == 1
    )  # a worker that was only starting may complain beside it
    assert eventually(lambda: not any(at_work(process) for process in started))


@in_proc
@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_a_second_signal_changes_nothing(delay: float) -> None:
    with start() as command:
        assert eventually(lambda: len(workers(command.pid)) >= 3)
        started = workers(command.pid)
        command.send_signal(signal.SIGHUP)
        time.sleep(delay)
        command.send_signal(signal.SIGTERM)
        _, said = command.communicate(timeout=60)
    # Both may be there before the first is taken; Python's last moments are without handlers.
    assert command.returncode in {128 + signal.SIGHUP, 128 + signal.SIGTERM, -signal.SIGTERM}
    # A worker that was only starting may complain beside it.
    assert said.count("evo-qnas: stopped by SIG") == 1
    assert eventually(lambda: not any(at_work(process) for process in started))


# The script's own process works in the same way without the command line.
PLAIN = """
import time
from evo_qnas.jobs import spread
list(spread(time.sleep, [600, 600], jobs=2))
"""
# One of two workers has no task: it waits for one.
IDLE = """
import time
import joblib
from evo_qnas.jobs import watched_workers
list(joblib.Parallel(n_jobs=2, **watched_workers())(joblib.delayed(abs)(item) for item in range(4)))
time.sleep(600)
"""


@in_proc
@pytest.mark.parametrize("script", [SCRIPT, PLAIN, IDLE], ids=["command", "script", "idle"])
def test_workers_end_with_a_killed_parent(script: str) -> None:
    with start(script) as command:
        assert eventually(lambda: len(workers(command.pid)) >= 3)
        started = workers(command.pid)
        command.kill()
        command.communicate(timeout=60)
    assert eventually(lambda: not any(at_work(process) for process in started), 30)


@in_proc
def test_workers_that_are_just_starting_end_with_a_killed_parent() -> None:
    with start(PLAIN) as command:
        assert eventually(lambda: len(workers(command.pid)) >= 1)
        started = workers(command.pid)
        command.kill()
        command.communicate(timeout=60)
    assert eventually(lambda: not any(at_work(process) for process in started), 30)


# Stands for imports on a machine that is busy: one of joblib's own ends in no worker.
BUSY = """
import sys, time
from pathlib import Path
if b"popen_loky" in Path("/proc/self/cmdline").read_bytes():
    Path(__file__).with_suffix(".imported").touch()
    time.sleep(600)
sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
del sys.modules["numpy"]
import numpy
"""


@in_proc
def test_workers_that_still_import_end_with_a_killed_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy.py").write_text(BUSY)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    with start(PLAIN) as command:
        assert eventually((tmp_path / "numpy.imported").exists)
        started = workers(command.pid)
        command.kill()
        command.communicate(timeout=60)
    try:
        assert eventually(lambda: not any(at_work(process) for process in started), 10)
    finally:
        for process in filter(at_work, started):
            os.kill(process, signal.SIGKILL)


def test_a_signal_that_the_caller_has_switched_off_stays_off() -> None:
    """As under nohup."""
    body = "\n    signal.raise_signal(signal.SIGHUP)\n    print('on', file=sys.stderr)\n"
    script = SCRIPT.replace("\n    list(spread(time.sleep, [600, 600], jobs=2))\n", body).replace(
        "import sys", "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nimport sys"
    )
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN_SIGNALS + script], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "on\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        # In a finalizer, where Python cannot raise it.
        (
            "class Last:\n        def __del__(self): signal.raise_signal(signal.SIGTERM)\n"
            "    Last()\n    time.sleep(600)",
            128 + signal.SIGTERM,
        ),
        # While Python ends, in an exit handler as those of the pool: the command has done its work.
        ("import atexit; atexit.register(signal.raise_signal, signal.SIGTERM)", 0),
    ],
    ids=["finalizer", "exit"],
)
def test_a_signal_at_an_awkward_moment_makes_no_traceback(body: str, code: int) -> None:
    script = SCRIPT.replace("list(spread(time.sleep, [600, 600], jobs=2))", body).replace(
        "import sys", "import signal, sys"
    )
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN_SIGNALS + script], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


@in_proc
def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    body = f"""
    try:
        list(spread(time.sleep, [600, 600], jobs=2))
    finally:
        Path({str(tmp_path / "mark")!r}).touch()
        time.sleep(600)
"""
    script = SCRIPT.replace("\n    list(spread(time.sleep, [600, 600], jobs=2))\n", body).replace(
        "import sys", "from pathlib import Path\nimport sys"
    )
    with start(script) as command:
        assert eventually(lambda: len(workers(command.pid)) >= 3)
        started = workers(command.pid)
        command.send_signal(signal.SIGINT)
        assert eventually((tmp_path / "mark").exists)
        command.send_signal(signal.SIGINT)
        _, said = command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGINT
    assert "Traceback" not in said
    assert eventually(lambda: not any(at_work(process) for process in started), 30)


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
    ended = subprocess.run(
        [sys.executable, "-c", PLAIN_SIGNALS + script], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr
    assert ended.stderr == "evo-qnas: stopped by SIGTERM: what was finished is kept, run the same command again\n"


@in_proc
def test_workers_of_a_pool_that_is_only_starting_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """loky joins a thread that it has not started yet, which Python refuses."""
    pool = ProcessPoolExecutor(max_workers=2, context=get_context("loky"))
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt, match="in loky"):
        pool.submit(time.sleep, 600)
    monkeypatch.undo()
    started = list(pool._processes)
    assert len(started) == 2
    with monkeypatch.context() as patch:
        patch.setattr(reusable_executor, "_executor", pool)
        workers_module.end_workers()
    assert eventually(lambda: not any(at_work(process) for process in started))


def interrupted(_thread: threading.Thread) -> None:
    raise KeyboardInterrupt("in loky")
