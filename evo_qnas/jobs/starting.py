"""Workers of loky that watch their parent from their first moment on."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from joblib.externals.loky.backend import fork_exec as launching

_WORKER = "joblib.externals.loky.backend.popen_loky_posix"
WATCH = "parent watch"
# A worker outlives its parent by this at most. A look is one system call.
LOOK_SECONDS = 0.5
# Imports of a worker take seconds where the machine is busy, and loky's initializer runs behind them.
_FIRST = f"""
import os, signal, sys, threading, time
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
def watch(parent):
    while os.getppid() == parent:
        time.sleep({LOOK_SECONDS})
    os._exit(1)
threading.Thread(target=watch, args=(int(sys.argv.pop(1)),), name={WATCH!r}, daemon=True).start()
import runpy
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_plainly = launching.fork_exec


def watch_from_the_start() -> None:
    """Has workers that this process starts from now on begin with the watch, before they import anything."""
    if sys.platform != "win32":
        launching.fork_exec = _fork_exec


def _fork_exec(command: Sequence[str], keep: Sequence[int], env: Mapping[str, str] | None = None) -> Any:
    """The number of a process that loky starts; for a worker it does so by `python -m popen_loky_posix`."""
    if list(command[1:3]) == ["-m", _WORKER]:
        command = [command[0], "-c", _FIRST, str(os.getpid()), _WORKER, *command[3:]]
    return _plainly(command, keep, env=env)
