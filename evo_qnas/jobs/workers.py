"""Worker processes of this machine that end with the process that started them, however that ends."""

import os
import signal
import sys
import threading
import time
from typing import Any

from joblib.externals.loky import reusable_executor

from evo_qnas.jobs.starting import LOOK_SECONDS, WATCH, watch_from_the_start


def watched_workers() -> dict[str, Any]:
    """Arguments for `joblib.Parallel` and `joblib.parallel_config` with which loky's workers watch this process.

    They do so from their first moment on; `watch_parent` is for workers that are started in another way.
    """
    watch_from_the_start()
    return {"initializer": watch_parent, "initargs": (os.getpid(),)}


def watch_parent(parent: int) -> None:
    """Ends this worker soon after `parent` has ended; signals of a terminal are left to the parent.

    A thread looks for it. The kernel's own signal at a parent's death would come at the death of the parent's *thread*.
    """
    if sys.platform == "win32" or any(thread.name == WATCH for thread in threading.enumerate()):
        return
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(parent,), name=WATCH, daemon=True).start()


def _watch(parent: int) -> None:
    """Looks until another process (init, a subreaper) is the parent."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    # Nothing of a worker's state is worth anything without its parent.
    os._exit(1)


def end_workers() -> None:
    """Ends the workers of this process, whatever they are at; waiting for their tasks could take minutes."""
    executor = reusable_executor._executor
    if executor is None:
        return
    try:
        executor.shutdown(wait=True, kill_workers=True)
    except RuntimeError:
        # The signal came while the pool was starting: the thread that ends its workers is not there yet.
        for process in list((executor._processes or {}).values()):
            # loky's processes have no `kill`; SIGTERM is what none of them handles.
            process.terminate()
