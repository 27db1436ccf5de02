"""A search of a million evaluations on 20 blocks: file, memory, what writing costs, and how soon the front is there.

    python benchmarks/large_archive.py [--evaluations 1000000] [--algorithm nsga2]

The search runs in a process of its own, with a file and in memory alone, in turns; writing costs what the first takes
more processor time. A fresh process opens the file and reads the front. `Archive.to_hdf5` gives the compressed file.
Ends with exit code 1 where the file has more than 120 MB, writing costs more than a tenth, the front takes more than
0.2 s or the search more than 1.5 GB.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

LIMITS = {"file, MB": 120.0, "writing, share of the time": 0.1, "front opens, s": 0.2, "peak memory, GB": 1.5}

SEARCH = """
import json, resource, sys, time
from evo_qnas import TableProblem, search
from evo_qnas.tables.generate import generate_tables

evaluations, algorithm, path = int(sys.argv[1]), sys.argv[2], sys.argv[3] or None
problem = TableProblem(generate_tables(20, seed=0), objectives=["score", "size_bytes"])
wall, cpu = time.perf_counter(), time.process_time()
archive = search(problem, algorithm=algorithm, evaluations=evaluations, seed=0, path=path, progress=False)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, "front": len(archive.front.genomes)}))
"""

OPEN = """
import json, sys, time
from evo_qnas import Archive

start = time.perf_counter()
front = Archive.load(sys.argv[1]).front
count = len(front.objectives)
print(json.dumps({"seconds": time.perf_counter() - start, "front": count}))
"""

COMPRESS = """
import json, os, sys, time
from evo_qnas import Archive

archive, start = Archive.load(sys.argv[1]), time.process_time()
archive.to_hdf5(sys.argv[2])
print(json.dumps({"seconds": time.process_time() - start, "bytes": os.path.getsize(sys.argv[2])}))
"""


def python(code: str, *arguments: str) -> dict[str, float]:
    """What a process prints last."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evaluations", type=int, default=1_000_000)
    parser.add_argument("--algorithm", default="nsga2")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    with_file, without, opened = [], [], []
    size, packed = 0, dict[str, float]()
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "archive.h5")
            with_file.append(python(SEARCH, str(options.evaluations), options.algorithm, str(path)))
            without.append(python(SEARCH, str(options.evaluations), options.algorithm, ""))
            opened += [python(OPEN, str(path)) for _ in range(3)]
            size = path.stat().st_size
            packed = python(COMPRESS, str(path), str(path.with_name("shared.h5")))
    cpu, alone = (min(run["cpu"] for run in runs) for runs in (with_file, without))
    found = {
        "file, MB": size / 1e6,
        "writing, share of the time": max(0.0, cpu - alone) / cpu,
        "front opens, s": min(run["seconds"] for run in opened),
        "peak memory, GB": max(run["peak"] for run in with_file),
    }
    print(
        f"{options.evaluations:,} evaluations by {options.algorithm}, {with_file[0]['front']:.0f} points in the front"
    )
    print(f"search {cpu:.1f} s of processor time with its file, {alone:.1f} s without")
    print(f"compressed {packed['bytes'] / 1e6:.3g} MB of {size / 1e6:.3g}, {packed['seconds']:.2f} s of processor time")
    for name, value in found.items():
        print(f"{name}: {value:.3g} (at most {LIMITS[name]:g})")
    return int(any(value > LIMITS[name] for name, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
