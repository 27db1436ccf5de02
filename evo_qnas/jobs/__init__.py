"""Work spread over processes: of this machine, or of a Dask cluster; the results are the same.

- `spread`: results of independent tasks as they end; a dead worker's task is run again.
- `Pool`: one task whose items are handed in while others are under way; workers keep the task.
- `connected`: takes the workers of a cluster for all that is spread inside its block.
- `claimed_device`: one job per GPU.
- `end_workers`: ends them at once, for a command that is told to end.
- `watched_workers`: for calls of joblib elsewhere, so that no worker outlives the process that started it.
"""

from evo_qnas.jobs.call import Lost
from evo_qnas.jobs.connection import active, connected
from evo_qnas.jobs.devices import claimed_device
from evo_qnas.jobs.pool import Pool
from evo_qnas.jobs.spread import RETRIES, spread
from evo_qnas.jobs.workers import end_workers, watched_workers

__all__ = [
    "RETRIES",
    "Lost",
    "Pool",
    "active",
    "claimed_device",
    "connected",
    "end_workers",
    "spread",
    "watched_workers",
]
