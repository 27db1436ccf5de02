"""Block jobs of a card on a real local Dask cluster against one process, one worker killed in the middle.

    pip install 'evo-qnas[train,dask]'
    python benchmarks/dask_cluster.py --card digits --set distillation.steps=60

Two worker processes distil and score the blocks of a card; as soon as the first trained candidate is on the disk one
of them is killed with signal 9. Candidates and tables must equal those of one process, byte for byte.
"""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from distributed import LocalCluster

from evo_qnas.pipeline import load_card, run_card


def files(folder: Path) -> dict[str, bytes]:
    """Candidates and tables of a run."""
    paths = [*folder.glob("blocks/**/*.safetensors"), *folder.glob("blocks/**/choices.json"), folder / "tables.h5"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths)}


def kill_in_the_middle(folder: Path, pid: int) -> None:
    """Ends a worker as soon as the first candidate is there."""
    while not list(folder.glob("blocks/*/*.safetensors")):
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    print(f"killed worker process {pid} after the first candidate", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="digits")
    parser.add_argument("--set", action="append", default=[], metavar="A.B=C", help="change a value of the card")
    arguments = parser.parse_args()
    name, card = load_card(arguments.card, changes=arguments.set, seed=5)
    with tempfile.TemporaryDirectory() as made:
        alone, there = Path(made, "alone"), Path(made, "there")
        start = time.perf_counter()
        run_card(name, card, alone, jobs=1, until="tables")
        print(f"one process: {time.perf_counter() - start:.1f} s", flush=True)
        start = time.perf_counter()
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
            pids = [worker.pid for worker in cluster.workers.values()]
            threading.Thread(target=kill_in_the_middle, args=(there, pids[0]), daemon=True).start()
            run_card(name, card, there, cluster=cluster.scheduler_address.replace("tcp", "dask"), until="tables")
        print(f"two workers, one killed: {time.perf_counter() - start:.1f} s", flush=True)
        one, other = files(alone), files(there)
    different = sorted(set(one) ^ set(other) | {key for key in set(one) & set(other) if one[key] != other[key]})
    print(f"{len(one)} files, {len(different)} different {different}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
