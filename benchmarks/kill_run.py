"""Kills runs, comparisons and searches at random moments; each must end as the unbroken one, and leave no process.

    python -m benchmarks.kill_run --runs 40 --studies 60 --compares 40 --searches 60 --asynchronous 60

Commands of `evo-qnas`, and a script with a `Study`, start as forks of a server that has imported everything, so that
most kills meet their work. A case sends SIGKILL, SIGTERM, SIGINT or SIGHUP to the command, SIGKILL to one of its
workers, or fills the disk it writes to and frees it again, one to three times; then the command runs to its end, and
all files but measured times are held against those of an unbroken one. An asynchronous search depends on the order of
its answers too: its archive is held against `unbroken_replay`, one search from the seed on without kills and workers,
which evaluates every network anew and takes the answers in the recorded order. After every kill no process may be left
after five seconds. Endings are lines of a log, and the same command goes on where it was stopped. A full disk needs a
small file system, which only root can mount; without it those cases are left out.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

LEFT_SECONDS, HANG_SECONDS = 5.0, 600.0
_MARK = "EVO_QNAS_KILL_RUN"
_DISK_BYTES = 48 << 20
CARD = """
task = "classification"
[data]
name = "arrays"
folder = "data"
[teacher]
architecture = "kill_parts:network"
[teacher.training]
epochs = 2
batch_size = 16
learning_rate = 5e-3
[blocks]
names = ["block"]
[[operators]]
card = "depthwise_separable"
kernel = [3]
depth = [1]
[quantization]
weight_bits = [4, 8]
activation_bits = [8]
calibration_images = 16
[distillation]
steps = 4
batch_size = 8
[in_context]
measure = "kl"
[search]
evaluations = 4
population = 4
[searches.other]
objectives = ["score", "macs"]
evaluations = 4
population = 4
pick_shares = [0.9]
[validation]
size_shares = [0.8]
least_picks = 1
random_networks = 3
[finetuning]
epochs = 1
batch_size = 8
"""
PARTS = """
import time
import numpy as np
from evo_qnas import objective
from evo_qnas.problem import Networks

def network():
    from torch import nn
    stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    net = nn.Sequential()
    for name, part in (("stem", stem), ("block", block), ("head", head)):
        net.add_module(name, part)
    return net

@objective(unit="1", per_network=True)
def slow_score(networks: Networks) -> float:
    time.sleep(0.02)
    score = networks.column("score")[0]
    return float(score.sum() + (score[1:] * score[:-1]).sum())

@objective(unit="1", per_network=True)
def unequal_score(networks: Networks) -> float:
    time.sleep(0.005 + 0.01 * float(networks.genomes.sum() % 7))
    if networks.genomes.sum() % 11 == 0:
        raise ValueError("one in eleven fails")
    score = networks.column("score")[0]
    return float(score.sum() + (score[1:] * score[:-1]).sum())
"""
STUDY = """
import sys
import numpy as np
import torch
from evo_qnas import Study, metrics
from kill_parts import network

def images(part):
    with np.load(f"data/{part}.npz") as arrays:
        return torch.utils.data.TensorDataset(*(torch.from_numpy(arrays[name]) for name in ("pixels", "labels")))

torch.manual_seed(0)
study = Study(
    network(),
    train=images("train"),
    search=images("search"),
    test=images("test"),
    metric=metrics.accuracy,
    loss=torch.nn.functional.cross_entropy,
    blocks=["block"],
    weight_bits=[4, 8],
    quantization={"calibration_images": 16},
    distillation={"steps": 4, "batch_size": 8},
    search_settings={"evaluations": 4, "population": 4},
    validation={"size_shares": [0.8], "least_picks": 1, "random_networks": 0},
    finetuning={"epochs": 1, "batch_size": 8},
    folder=sys.argv[1],
    device="cpu",
)
study.run(jobs=int(sys.argv[2]))
"""
# What `evo-qnas` is called with; {} is the folder, {jobs} the number of processes.
KINDS: dict[str, list[str]] = {
    "search": [
        *("search", "tables.h5", "--objective", "kill_parts:slow_score", "--objective", "size_bytes"),
        *("--evaluations", "100", "--population", "20", "--jobs", "{jobs}", "-o", "{}/archive.h5"),
    ],
    "asynchronous": [
        *("search", "tables.h5", "--objective", "kill_parts:unequal_score", "--objective", "size_bytes"),
        *("--evaluations", "100", "--population", "20", "--asynchronous", "--jobs", "{jobs}", "-o", "{}/archive.h5"),
    ],
    "compare": [
        *("compare", "tables.h5", "--seeds", "3", "--evaluations", "150", "--jobs", "{jobs}"),
        *("--pictures", "none", "-o", "{}"),
    ],
    "study": ["study.py", "{}", "{jobs}"],
    "run": ["run", "card.toml", "--jobs", "{jobs}", "-o", "{}"],
}
# Processes of a killed command; those of stages start slowly and have a small network to work on: some cases only.
JOBS = {"search": 2, "asynchronous": 2, "compare": 2, "run": 1, "study": 1}
SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "worker", "disk")


def make_inputs(folder: Path) -> None:
    """The card with its data and network, tables, and a slow objective."""
    from benchmarks.fuzzing.networks import write_data
    from evo_qnas.tables.generate import generate_tables

    write_data(folder / "data")
    (folder / "card.toml").write_text(CARD, encoding="utf-8")
    (folder / "kill_parts.py").write_text(PARTS, encoding="utf-8")
    (folder / "study.py").write_text(STUDY, encoding="utf-8")
    generate_tables(5, operators=4).save(folder / "tables.h5")


def start(arguments: list[str], folder: Path, log: Path, mark: str) -> int:
    """A command as a fork of this process; its number."""
    child = os.fork()
    if child:
        return child
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.environ[_MARK] = mark
    os.chdir(folder)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(output, number)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = f"{folder}:{os.environ.get('PYTHONPATH', '')}"
    code = 70
    try:
        code = called(arguments)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        # Exit handlers as those of loky's pool, which a plain end of Python would run.
        sys.stdout.flush()
        from joblib.externals.loky import reusable_executor

        with suppress(Exception):
            if reusable_executor._executor is not None:
                reusable_executor._executor.shutdown(wait=True)
        os._exit(code)


def called(arguments: list[str]) -> int:
    """The exit code of a command or script in this process."""
    from evo_qnas.cli import main
    from evo_qnas.errors import EvoQnasError

    try:
        if not arguments[0].endswith(".py"):
            sys.argv = ["evo-qnas", *arguments]
            main()
            return 0
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except EvoQnasError as error:
        print(error)
        return 2
    return 0


def ended(child: int, seconds: float) -> int | None:
    """The exit code of a child, None where it goes on."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.01)


def marked(mark: str) -> list[int]:
    """Processes that carry a mark in their environment: workers and what they started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if f"{_MARK}={mark}".encode() in path.read_bytes().split(b"\0"):
                state = (path.parent / "stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append(int(path.parent.name))
    return found


def workers(child: int, mark: str) -> list[int]:
    """Worker processes of a command, not the helper that counts their memory."""
    chosen = []
    for number in marked(mark):
        with suppress(OSError):
            command = Path(f"/proc/{number}/cmdline").read_bytes()
            if number != child and b"popen_loky" in command:
                chosen.append(number)
    return chosen


def left_after(mark: str) -> list[int]:
    """Processes that are left after five seconds."""
    end = time.monotonic() + LEFT_SECONDS
    while (found := marked(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


# Health checks whose sentences hold milliseconds.
TIMED = ("int8_latency", "few_bits")


def without_times(value: Any) -> Any:
    """A JSON value without measured times, and the verdict's findings about them."""
    timed = ("second", "latency", "hardware", "versions", "command", "reused")
    if isinstance(value, dict):
        return {key: without_times(inner) for key, inner in value.items() if not any(part in key for part in timed)}
    if isinstance(value, list):
        return [
            without_times(inner) for inner in value if not (isinstance(inner, dict) and inner.get("check") in TIMED)
        ]
    return value


def contents(folder: Path) -> dict[str, str]:
    """A digest of each file of results, without measured times and the folder's name."""
    from evo_qnas.archive import Archive
    from evo_qnas.tables import Tables

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name in {
            "seconds.json",
            "report.html",
            "latency.json",
            "summary.txt",
            "front.png",
        }:
            continue
        if (
            (path.name.startswith("archive") and path.suffix == ".h5")
            or path.parent.parent.name == "runs"
            or "seed-" in path.name
        ):
            rows = Archive.load(path).evaluations
            parts = (rows.genomes, rows.objectives, rows.constraints, rows.generation, rows.state)
            found[name] = b"".join(part.tobytes() for part in parts)
        elif path.name == "tables.h5":
            columns = Tables.load(path).columns
            found[name] = b"".join(values.tobytes() for column in columns.values() for values in column.values)
        elif path.suffix == ".json":
            content = without_times(json.loads(path.read_text(encoding="utf-8")))
            found[name] = json.dumps({**content, "card": None} if isinstance(content, dict) else content).encode()
        elif path.name == "card.toml":
            found[name] = path.read_bytes().partition(b"\n")[2]
        elif path.suffix == ".csv" and path.name in {"results.csv", "medians.csv"}:
            found[name] = _untimed_csv(path)
        else:
            found[name] = path.read_bytes()
    return {name: hashlib.sha256(content).hexdigest()[:16] for name, content in found.items()}


def _untimed_csv(path: Path) -> bytes:
    import pandas as pd

    frame = pd.read_csv(path)
    timed = [name for name in frame.columns if "second" in name or "reused" in name]
    return frame.drop(columns=timed).to_csv(index=False).encode()


def difference(one: dict[str, str], other: dict[str, str]) -> str:
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return ", ".join(names[:6])


class Case:
    """One command that is killed and run to its end."""

    def __init__(self, kind: str, index: int, *, seed: int, inputs: Path, room: Path, usual: float) -> None:
        self.kind, self.index, self.inputs, self.room, self.usual = kind, index, inputs, room, usual
        self.rng = np.random.default_rng([seed, *kind.encode(), index])
        self.folder, self.log = room / f"{kind}-{index}", inputs / f"{kind}-{index}.log"
        self.entry: dict[str, Any] = {"kind": kind, "case": index, "seed": seed, "kills": []}

    def begin(self, jobs: int) -> tuple[int, str]:
        self.folder.mkdir(exist_ok=True)
        arguments = [part.replace("{}", str(self.folder)).replace("{jobs}", str(jobs)) for part in KINDS[self.kind]]
        mark = f"{self.kind}-{self.index}-{time.monotonic_ns()}"
        return start(arguments, self.inputs, self.log, mark), mark

    def kill(self, how: str) -> str:
        """One kill; what is wrong, empty where nothing is."""
        jobs = 2 if how == "worker" or self.rng.random() < 0.2 else JOBS[self.kind]
        child, mark = self.begin(jobs)
        wait = float(self.rng.uniform(0, self.usual))
        early = ended(child, wait)
        entry: dict[str, Any] = {
            "how": how,
            "jobs": jobs,
            "after": round(wait, 2),
            "stage": self.stage(),
            "early": early is not None,
        }
        filler = self.room / "filler"
        if early is None and how == "disk":
            _fill(filler)
        elif early is None and how == "worker":
            found = workers(child, mark)
            entry["workers"] = len(found)
            for number in found[:1]:
                with suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
        elif early is None:
            os.kill(child, getattr(signal, how))
        code = early if early is not None else ended(child, HANG_SECONDS)
        filler.unlink(missing_ok=True)
        self.entry["kills"].append({**entry, "code": code})
        if code is None:
            os.killpg(child, signal.SIGKILL)
            ended(child, 10)
            return f"hung after {how}"
        left = left_after(mark)
        for number in left:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if left:
            return f"{len(left)} processes left after {how}"
        return self.said_wrong(how, code)

    def said_wrong(self, how: str, code: int) -> str:
        """What is wrong with exit code and words."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        if "Traceback" in text:
            return f"traceback after {how}: {text[text.index('Traceback') :][:4000]!r}"
        if how.startswith("SIG"):
            number = getattr(signal, how)
            fits = code in (0, -number, 128 + number)
        else:
            fits = code in (0, 2)
        return "" if fits else f"exit code {code} after {how}: {text[-300:]!r}"

    def stage(self) -> str:
        """The last stage that has ended."""
        with suppress(OSError, ValueError):
            return list(json.loads((self.folder / "seconds.json").read_text(encoding="utf-8")))[-1]
        return "none"

    def run(self, wanted: dict[str, str], disk: bool) -> dict[str, Any]:
        """The entry of the log."""
        begun = time.monotonic()
        choices = [how for how in SIGNALS if how != "disk" or disk]
        how = choices[self.index % len(choices)]
        wrong = ""
        for turn in range(1 + int(self.rng.random() < 0.3) + int(self.rng.random() < 0.1)):
            wrong = wrong or self.kill(how if turn == 0 else str(self.rng.choice(choices)))
        child, mark = self.begin(1)
        code = ended(child, HANG_SECONDS)
        if code != 0:
            text = self.log.read_text(encoding="utf-8", errors="replace")
            wrong = wrong or f"the last run ended with {code}: {text[-300:]!r}"
        elif left_after(mark):
            wrong = wrong or "processes left after the end"
        else:
            differs = self.differs(wanted)
            wrong = wrong or (differs and f"differs: {differs}")
        if not wrong:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.log.unlink(missing_ok=True)
        seconds = round(time.monotonic() - begun, 1)
        return {**self.entry, "ending": f"BAD {wrong}" if wrong else "as the unbroken one", "seconds": seconds}

    def differs(self, wanted: dict[str, str]) -> str:
        """What is not as in an unbroken command; empty where all is."""
        if self.kind != "asynchronous":
            return difference(contents(self.folder), wanted)
        left = sorted(path.name for path in self.folder.iterdir())
        return from_replay(self.folder / "archive.h5") or ("" if left == ["archive.h5"] else f"files {left}")


def from_replay(path: Path) -> str:
    """What of an asynchronous search's archive is not as in an unbroken search whose answers come in that order."""
    from evo_qnas.archive import Archive
    from evo_qnas.search import unbroken_replay

    archive = Archive.load(path)
    replayed = unbroken_replay(archive.trusted_problem(), archive)
    rows, others = archive.evaluations, replayed.evaluations
    pairs = {name: (getattr(rows, name), getattr(others, name)) for name in ("genomes", "objectives", "constraints")}
    pairs |= {"generation": (rows.generation, others.generation), "state": (rows.state, others.state)}
    pairs |= {"asks": (archive.asks, replayed.asks), "front": (archive.front.rows, replayed.front.rows)}
    wrong = [name for name, (one, other) in pairs.items() if one.tobytes() != other.tobytes()]
    if dict(rows.reasons) != dict(others.reasons):
        wrong.append("reasons")
    if len(np.unique(archive.genomes, axis=0)) != len(archive) or len(archive) != 100 or not archive.finished:
        wrong.append(f"{len(archive)} evaluations, finished: {archive.finished}")
    return ", ".join(wrong)


def _fill(path: Path) -> None:
    """Takes all room that a file system has."""
    with suppress(OSError), path.open("wb", buffering=0) as handle:
        for size in (1 << 20, 4096, 1):
            with suppress(OSError):
                while True:
                    handle.write(bytes(size))


def small_disk(folder: Path) -> bool:
    """Mounts a small file system in memory; False where that is not allowed."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "none", str(folder)], capture_output=True, check=False
    )
    return done.returncode == 0


def known(log: Path, seed: int) -> Iterator[dict[str, Any]]:
    for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else []:
        entry = json.loads(line)
        if entry["seed"] == seed:
            yield entry


def unbroken(kind: str, inputs: Path, room: Path) -> tuple[dict[str, str], float]:
    """Contents and seconds of a command that nothing disturbs; run twice, as the first one imports what it needs."""
    seconds, first = 0.0, None
    for turn in range(2):
        case = Case(kind, 10**6 + turn, seed=0, inputs=inputs, room=room, usual=0.0)
        begun = time.monotonic()
        child, _ = case.begin(JOBS[kind])
        code = ended(child, HANG_SECONDS)
        seconds = time.monotonic() - begun
        if code != 0:
            raise SystemExit(f"the unbroken {kind} ended with {code}: {case.log.read_text()[-2000:]}")
        wanted = contents(case.folder)
        if first is not None and kind != "asynchronous" and (differs := difference(wanted, first)):
            raise SystemExit(f"two unbroken ones of {kind} differ: {differs}")
        first = wanted
        shutil.rmtree(case.folder)
    return wanted, seconds


def warm(inputs: Path, room: Path, kinds: set[str]) -> None:
    """Imports what commands of these kinds import late, by running one of each in this process."""
    os.chdir(inputs)
    sys.path.insert(0, str(inputs))
    for kind, parts in KINDS.items():
        if kind not in kinds:
            continue
        (room / "warm").mkdir(exist_ok=True)
        arguments = [part.replace("{}", str(room / "warm")).replace("{jobs}", "1") for part in parts]
        before = {name: signal.getsignal(getattr(signal, name)) for name in ("SIGINT", "SIGTERM", "SIGHUP")}
        begun = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            code = called(arguments)
        print(f"warm {kind}: exit code {code}, {time.monotonic() - begun:.1f} s", flush=True)
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
        shutil.rmtree(room / "warm")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, count in (("study", 60), ("run", 40), ("compare", 40), ("search", 60), ("asynchronous", 60)):
        many = {"search": "searches", "study": "studies", "asynchronous": "asynchronous"}.get(kind, f"{kind}s")
        parser.add_argument(f"--{many}", dest=kind, type=int, default=count)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("results/kill_run.jsonl"))
    options = parser.parse_args()
    log = options.log.resolve()
    log.parent.mkdir(parents=True, exist_ok=True)
    done = {(entry["kind"], entry["case"]) for entry in known(log, options.seed)}
    begun = time.monotonic()
    open_kinds = {kind for kind in KINDS if {(kind, index) for index in range(getattr(options, kind))} - done}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        inputs, room = Path(name) / "inputs", Path(name) / "room"
        for folder in (inputs, room):
            folder.mkdir()
        make_inputs(inputs)
        disk = small_disk(room)
        try:
            warm(inputs, room, open_kinds)
            for kind in KINDS:
                open_cases = [index for index in range(getattr(options, kind)) if (kind, index) not in done]
                if open_cases:
                    wanted, usual = unbroken(kind, inputs, room)
                    print(f"unbroken {kind}: {usual:.1f} s", flush=True)
                    for index in open_cases:
                        entry = Case(kind, index, seed=options.seed, inputs=inputs, room=room, usual=usual).run(
                            wanted, disk
                        )
                        with log.open("a", encoding="utf-8") as lines:
                            lines.write(json.dumps(entry) + "\n")
                        if entry["ending"].startswith("BAD"):
                            print(f"{kind}, case {index}: {entry['ending']}", flush=True)
        finally:
            os.chdir("/")
            if disk:
                subprocess.run(["umount", "-l", str(room)], check=False)
    return summarize(list(known(log, options.seed)), begun)


def summarize(entries: list[dict[str, Any]], begun: float) -> int:
    """Prints a row for each kind and way; gives the exit code."""
    print("| command | kill | kills | at work | failures |\n|---|---|---|---|---|")
    rows: Counter[tuple[str, str]] = Counter()
    busy: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        for kill in entry["kills"]:
            rows[entry["kind"], kill["how"]] += 1
            busy[entry["kind"], kill["how"]] += not kill["early"]
    for (kind, how), count in sorted(rows.items()):
        bad = sum(e["kind"] == kind and e["kills"][0]["how"] == how and e["ending"].startswith("BAD") for e in entries)
        print(f"| {kind} | {how} | {count} | {busy[kind, how]} | {bad} |")
    bad = sum(entry["ending"].startswith("BAD") for entry in entries)
    print(f"{len(entries)} cases, {sum(rows.values())} kills, {bad} failures, {time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
