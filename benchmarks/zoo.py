"""Public architectures as they come, through the whole chain: which go through, and where the others stop.

    pip install -e '.[train,onnx,tflite]' huggingface_hub tokenizers regex tqdm requests psutil py-cpuinfo
    pip install opencv-python-headless omegaconf pycocotools librosa
    pip install --no-deps torchvision torchaudio timm transformers segmentation-models-pytorch
    pip install --no-deps effdet openunmix pytorch-tcn torchcrepe ultralytics
    python benchmarks/zoo.py [--only NAME ..] [--again] [--failed] [--tables] [--check] [-o results/zoo]

Networks of torchvision, timm, transformers, segmentation_models_pytorch and others have random weights of seed 0 and
small inputs; `zoo_networks.py` lists them. Each runs in a process of its own, with a limit of time and memory, and
writes `NAME.json` in the folder; one that is there is kept (`--again` and `--failed` run it again). Written at the end:
`zoo.csv` and `zoo.md`, a row per network, a column per stage:

- cut: a submodule can be a block;
- quantize: quantized to 8 bits and calibrated;
- finetune: one step, in which every parameter has a finite gradient and learns;
- macs: equal torch.utils.flop_counter;
- onnx, tflite: the file is written and meets every check of `evo_qnas.networks.export`;
- size: bytes of the stored tensors in the ONNX file, read from the file alone, are `size_bytes`, and no other large
  float is in it.

Torch's CPU build has no torchvision of its own: `zoo_libraries.py` says how any wheel of it imports. `--check` ends
with exit code 1 where fewer than 42 of 45 networks get to a checked ONNX file, or 34 of 45 to a checked TFLite file.
"""

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from zoo_libraries import prepare_libraries

STAGES = ("cut", "quantize", "finetune", "macs", "onnx", "size", "tflite")
LEAST = {"onnx": 42 / 45, "tflite": 34 / 45}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/zoo"))
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--again", action="store_true", help="run networks whose results are there")
    parser.add_argument("--failed", action="store_true", help="run those again that did not get through")
    parser.add_argument("--check", action="store_true", help="exit code 1 where too few get through")
    parser.add_argument("--tables", action="store_true", help="run nothing, write the tables of what is there")
    parser.add_argument("--list", action="store_true", help="names of all networks")
    parser.add_argument("--seconds", type=int, default=300, help="limit of each network")
    parser.add_argument("--memory-gb", type=float, default=12.0, help="limit of address space of each network")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.one:
        memory = int(options.memory_gb * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        run_one(options.one, options.output)
        return
    prepare_libraries()
    from zoo_networks import NETWORKS

    if options.list:
        for entry in NETWORKS.values():
            print(entry.name, entry.library, entry.kind, *entry.shape)
        return
    for name in () if options.tables else options.only or NETWORKS:
        path = options.output / f"{name}.json"
        found = json.loads(path.read_text()) if path.exists() else None
        if found is None or options.again or options.only or (options.failed and not passed(found)):
            row = run_process(name, options.output, options.seconds, options.memory_gb)
            Console().print(f"{name}: {summary_of(row)}", highlight=False, markup=False, soft_wrap=True)
    rows = {
        name: json.loads((options.output / f"{name}.json").read_text())
        for name in NETWORKS
        if (options.output / f"{name}.json").exists()
    }
    write_tables(rows, NETWORKS, options.output)
    if options.check:
        sys.exit(0 if enough(rows) else 1)


def run_process(name: str, folder: Path, seconds: int, memory_gb: float) -> dict[str, Any]:
    """Findings of one network, run in a process of its own; what it did not get to is missing."""
    path = folder / f"{name}.json"
    path.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--one", name, "-o", str(folder), "--memory-gb", str(memory_gb)]
    process = subprocess.Popen(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, errors = process.communicate(timeout=seconds)
        reason = f"ended with {process.returncode}: {(errors.strip().splitlines() or [''])[-1]}"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        reason = f"not done after {seconds} s"
    row: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if process.returncode:
        stopped = next((stage for stage in ("build", *STAGES) if stage not in row), None)
        if stopped is not None:
            row[stopped] = {"ok": False, "error": reason, "where": ""}
            path.write_text(json.dumps(row, indent=1) + "\n")
    return row


def run_one(name: str, folder: Path) -> None:
    """All stages of one network, in this process."""
    warnings.simplefilter("ignore")
    prepare_libraries()
    import torch
    from zoo_networks import NETWORKS
    from zoo_stages import run_stages

    torch.set_num_threads(1)
    path = folder / f"{name}.json"
    run_stages(NETWORKS[name], folder, lambda findings: _write(path, findings))


def _write(path: Path, findings: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(findings, indent=1) + "\n")


def passed(row: Mapping[str, Any]) -> bool:
    """True where every stage was met."""
    return all(row.get(stage, {}).get("ok") for stage in STAGES)


def summary_of(row: Mapping[str, Any]) -> str:
    """One line: what was met, and the first error."""
    marks = " ".join(f"{stage}{'+' if row.get(stage, {}).get('ok') else '-'}" for stage in STAGES)
    errors = [f"{stage}: {row[stage]['error']}" for stage in ("build", *STAGES) if "error" in row.get(stage, {})]
    return f"{marks} {errors[0][:200] if errors else ''}"


def seconds_of(row: Mapping[str, Any]) -> float:
    """Seconds of all stages."""
    return sum(finding.get("seconds", 0.0) for finding in row.values())


def enough(rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """True where enough of at least 45 networks get to files of each runtime."""
    met = {stage: sum(bool(row.get(stage, {}).get("ok")) for row in rows.values()) for stage in STAGES}
    Console().print(f"{len(rows)} networks: " + ", ".join(f"{stage} {count}" for stage, count in met.items()))
    return len(rows) >= 45 and all(met[stage] >= least * len(rows) for stage, least in LEAST.items())


def write_tables(rows: Mapping[str, Mapping[str, Any]], networks: Mapping[str, Any], folder: Path) -> None:
    """`zoo.csv` with errors, and `zoo.md` with a mark per stage and the first error."""
    with (folder / "zoo.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["network", "library", "kind", *STAGES, "seconds", *(f"{stage}_finding" for stage in STAGES)])
        for name, row in rows.items():
            marks = [int(bool(row.get(stage, {}).get("ok"))) for stage in STAGES]
            findings = [row.get(s, {}).get("error") or row.get(s, {}).get("note", "") for s in STAGES]
            entry = networks[name]
            writer.writerow([name, entry.library, entry.kind, *marks, f"{seconds_of(row):.1f}", *findings])
    lines = [f"| network | library | {' | '.join(STAGES)} | s |", "|---|---|" + "---|" * (len(STAGES) + 1)]
    lines += [_line(name, networks[name].library, row) for name, row in rows.items()]
    totals = [str(sum(bool(row.get(stage, {}).get("ok")) for row in rows.values())) for stage in STAGES]
    lines.append(f"| **{len(rows)} networks** | | {' | '.join(totals)} | |")
    (folder / "zoo.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _line(name: str, library: str, row: Mapping[str, Any]) -> str:
    marks: Sequence[str] = ["yes" if row.get(stage, {}).get("ok") else "**no**" for stage in STAGES]
    return f"| {name} | {library} | {' | '.join(marks)} | {seconds_of(row):.0f} |"


if __name__ == "__main__":
    main()
