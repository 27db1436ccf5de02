"""Measures a folder of exported blocks on the device it runs on, and prints the CSV for `evo-qnas tables join`.

This file stands alone: copy the folder that `evo-qnas export-blocks` wrote to the device, with Python 3.9 or newer,
numpy and openvino installed there, and run

    python measure_blocks.py --device pi4 > pi4.csv
"""

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino

HEADER = ["block", "operator", "weight_bits", "activation_bits", "mean", "spread", "device", "metric", "unit"]
# Of one measurement: a file is run so often that the clock's step and cost vanish in it.
LEAST_NS = 2_000_000


class Run:
    """One file, warmed up, with as many runs per measurement as the clock needs."""

    def __init__(self, path: Path, threads: int, rng: np.random.Generator) -> None:
        core = openvino.Core()
        model = core.read_model(path)
        model.reshape(
            {source: [1, *(size.get_length() for size in source.partial_shape[1:])] for source in model.inputs}
        )
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        compiled = core.compile_model(model, "CPU", options)
        self.request: Any = compiled.create_infer_request()
        self.clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
        for place, source in enumerate(compiled.inputs):
            self.request.set_input_tensor(place, openvino.Tensor(random_input(source, rng)))
        self.repeats = 1
        for _ in range(3):
            duration = self.time()
        self.repeats = max(1, round(LEAST_NS / max(1, duration)))

    def time(self) -> int:
        """Nanoseconds of all repeats."""
        start = self.clock()
        for _ in range(self.repeats):
            self.request.infer()
        return self.clock() - start


def random_input(source: Any, rng: np.random.Generator) -> Any:
    """One random image or map of codes."""
    shape, kind = tuple(source.shape), source.get_element_type().to_dtype()
    if kind == np.uint8:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    return rng.standard_normal(shape, dtype=np.float32)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--device", required=True, help="name of this device, stands behind @ in the column")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with (arguments.folder / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    rng = np.random.default_rng(0)
    runs = {row["file"]: Run(arguments.folder / row["file"], arguments.threads, rng) for row in rows if row["file"]}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for done in range(arguments.rounds):
        for name in rng.permutation(list(runs)):
            times[name].append(runs[name].time() / runs[name].repeats / 1e6)
        print(f"\rround {done + 1} of {arguments.rounds}", end="", file=sys.stderr)
    print(file=sys.stderr)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(HEADER)
    for row in rows:
        low, mean, high = np.quantile(times[row["file"]], [0.05, 0.1, 0.15]) if row["file"] else (0.0, 0.0, 0.0)
        bits = [row["weight_bits"], row["activation_bits"]]
        numbers = [f"{mean:.6g}", f"{(high - low) / 2:.3g}"]
        writer.writerow([row["block"], row["operator"], *bits, *numbers, arguments.device, "latency", "ms"])


if __name__ == "__main__":
    main()
