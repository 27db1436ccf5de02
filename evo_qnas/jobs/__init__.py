"""Work spread over processes: of this machine, or of a Dask cluster; the results are the same.

- `spread`: results of independent tasks as they end; a dead worker's task is run again.
- `connected`: takes the workers of a cluster for all that is spread inside its block.
- `claimed_device`: one job per GPU.
"""

from evo_qnas.jobs.connection import active, connected
from evo_qnas.jobs.devices import claimed_device
from evo_qnas.jobs.spread import RETRIES, spread

__all__ = ["RETRIES", "active", "claimed_device", "connected", "spread"]
