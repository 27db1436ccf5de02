"""Clusters by address: Dask, through joblib's own backend.

Ray is left out: joblib's backend for it gives no result before the last one has ended, and hung where it was made to.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from evo_qnas.errors import JobError
from evo_qnas.jobs.cluster import Cluster

_ADDRESS = re.compile(r"dask(?P<tls>\+tls)?://(?P<host>[A-Za-z0-9._-]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})")

_ACTIVE: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


def active() -> Cluster | None:
    """The cluster of the innermost `connected` block."""
    return _ACTIVE.get()


@contextmanager
def connected(address: str | None) -> Iterator[int]:
    """A block in which `spread` uses the workers at `address`; gives how many tasks they do at once.

    Args:
        address: `dask://host:port`, or `dask+tls://host:port` for a scheduler that asks for certificates, which Dask's
            own configuration names; None changes nothing and gives the number of the surrounding block, 1 without one.

    Raises:
        JobError: the address is malformed, its package is not installed, nothing answers there, or the workers do not
            fit.
    """
    if address is None:
        around = _ACTIVE.get()
        yield 1 if around is None else around.slots()
        return
    cluster = _open(address)
    token = _ACTIVE.set(cluster)
    try:
        yield cluster.slots()
    finally:
        _ACTIVE.reset(token)
        cluster.close()


def _open(address: str) -> Cluster:
    """The cluster at an address."""
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        ray = " (Ray is not supported)" if address.startswith("ray:") else ""
        raise JobError(
            f"cluster {address!r} is no address of a cluster: write dask://host:port or dask+tls://host:port{ray}"
        )
    try:
        from evo_qnas.jobs.dask_cluster import DaskCluster
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("evo_qnas"):
            raise
        raise JobError(
            f"cluster {address!r} needs the package {error.name}, which is not installed: pip install 'evo-qnas[dask]'"
        ) from error
    return DaskCluster(address, f"{'tls' if match['tls'] else 'tcp'}://{match['host']}:{match['port']}")
