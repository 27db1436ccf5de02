"""Fills a small disk before and during every verb that writes: one sentence, the last good file, and a right end after.

    python -m benchmarks.full_disk

Needs root, for a small file system in memory. Each verb writes twice where its file is already there: on a full disk,
which must end with exit code 2, one line and the old file as it was, and after the room is back, which must end well.
`run`, a `Study` script, `compare` and `search` start on a full disk too, and get more room after each refusal until
they end, first in steps of 16 KiB; each refusal is one sentence, and the files at the end are those of an undisturbed
command.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.kill_run import HANG_SECONDS, JOBS, KINDS, contents, difference, ended, make_inputs, start, warm

DISK_BYTES = 12 << 20
STEP_BYTES = 16 << 10
# Verbs that write one file, in the folder of inputs; {} is the file.
VERBS: dict[str, tuple[str, ...]] = {
    "tables import": ("tables", "import", "tables.csv", "-o", "{}.h5"),
    "tables export": ("tables", "export", "tables.h5", "-o", "{}.csv"),
    "tables join": ("tables", "join", "tables.h5", "pi4.csv", "-o", "{}.h5"),
    "tables measure": (
        "tables",
        "measure",
        "good-run",
        "--rounds",
        "10",
        "--networks",
        "4",
        "--held-out",
        "0",
        "--jobs",
        "1",
        "--trust",
        "-o",
        "{}.h5",
    ),
    "search": ("search", "tables.h5", "--evaluations", "60", "--population", "20", "-o", "{}.h5"),
    "plot": ("plot", "good-search/archive.h5", "-o", "{}.svg"),
    "report": ("report", "good-run", "-o", "{}.html"),
    "export": ("export", "good-run", "--network", "NETWORK", "--trust", "-o", "{}.onnx"),
    "export-blocks": ("export-blocks", "good-run", "--jobs", "1", "--trust", "-o", "{}"),
}
# What says that there is nothing to do.
MARKS = {"tables measure": "good-run/latency/latency.json"}


class Disk:
    """A small file system with a file that takes all room but some."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.filler = folder, folder / ".filler"
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(folder)]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        if done.returncode:
            raise SystemExit(f"a small file system cannot be mounted: {done.stderr.strip()}")

    def leave(self, free: int) -> None:
        """Leaves so many bytes free."""
        self.filler.unlink(missing_ok=True)
        status = os.statvfs(self.folder)
        size = status.f_bavail * status.f_frsize - free
        if size > 0:
            with self.filler.open("wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, size)

    def empty(self) -> None:
        """Gives all room back."""
        self.filler.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)


def called(arguments: list[str], inputs: Path, name: str) -> tuple[int | None, str]:
    """Exit code and last line of a command, with all that is odd about what it said."""
    log = inputs / f"{name.replace(' ', '-')}.log"
    child = start(arguments, inputs, log, f"full-disk-{time.monotonic_ns()}")
    code = ended(child, HANG_SECONDS)
    text = log.read_text(encoding="utf-8", errors="replace").strip()
    sentences = [line for line in text.splitlines() if "No space left" in line]
    if code == 2 and (len(sentences) != 1 or "Traceback" in text):
        return code, f"BAD {text[-400:]!r}"
    return code, sentences[-1] if sentences else text[-200:]


def try_verb(verb: str, arguments: list[str], disk: Disk, inputs: Path) -> dict[str, Any]:
    """A verb whose file is there already, on a full disk and then with room."""
    whole = [part.replace("{}", str(disk.folder / "out")) for part in arguments]
    disk.empty()
    code, said = called(whole, inputs, verb)
    if code != 0:
        return {"verb": verb, "ending": f"BAD with room it ends with {code}: {said}"}
    target = next(path for path in disk.folder.iterdir() if path.name.startswith("out"))
    before = snapshot(target)
    if verb in MARKS:
        (inputs / MARKS[verb]).unlink()
    disk.leave(0)
    code, said = called([*whole, *(["--restart"] if verb == "search" else [])], inputs, verb)
    left = sorted(path.name for path in disk.folder.iterdir() if path not in {target, disk.filler})
    wrong = ""
    if code != 2 or said.startswith("BAD"):
        wrong = f"on a full disk it ends with {code}: {said}"
    elif snapshot(target) != before:
        wrong = "the old file has changed"
    elif any(".part" in name for name in left):
        wrong = f"it leaves {left}"
    disk.empty()
    again, why = called(whole, inputs, verb)
    if not wrong and again != 0:
        wrong = f"with room again it ends with {again}: {why}"
    for path in disk.folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return {"verb": verb, "refusals": 1, "sentence": said, "ending": f"BAD {wrong}" if wrong else "right"}


def snapshot(path: Path) -> dict[str, bytes]:
    """Content of a file, or of the files of a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def try_stages(kind: str, disk: Disk, inputs: Path, good: dict[str, str]) -> dict[str, Any]:
    """A command that gets a little more room after each refusal, until it ends."""
    folder = disk.folder / kind
    arguments = [
        part.replace("{}", str(folder)).replace("{jobs}", "1" if kind in {"run", "study"} else str(JOBS[kind]))
        for part in KINDS[kind]
    ]
    stages: Counter[str] = Counter()
    sentences, free, code, wrong = [], 0, 2, ""
    while code == 2 and not wrong:
        disk.leave(free)
        code_or_none, said = called(arguments, inputs, kind)
        code = -1 if code_or_none is None else code_or_none
        if code == 2:
            sentences.append(said)
            stages[stage_of(folder)] += 1
            wrong = said if said.startswith("BAD") else ""
        # What was written stays. The page at the end is larger than all before it.
        free += STEP_BYTES * (1 + len(sentences) // 10)
    if code not in {0, 2} and not wrong:
        wrong = f"it ends with {code}: {said}"
    disk.empty()
    if not wrong:
        wrong = difference(contents(folder), good)
    shutil.rmtree(folder)
    entry = {"verb": f"{kind}, a step more each time", "refusals": len(sentences), "after": dict(stages)}
    return {**entry, "sentence": sentences[-1] if sentences else "", "ending": f"BAD {wrong}" if wrong else "right"}


def stage_of(folder: Path) -> str:
    try:
        return str(list(json.loads((folder / "seconds.json").read_text(encoding="utf-8")))[-1])
    except (OSError, ValueError, IndexError):
        return "none"


def make_good(inputs: Path, kinds: set[str]) -> None:
    """Undisturbed results of these kinds, and inputs of verbs."""
    from evo_qnas.tables import Tables

    tables = Tables.load(inputs / "tables.h5")
    tables.to_csv(inputs / "tables.csv")
    rows = ["block,operator,weight_bits,activation_bits,mean,spread,device,metric,unit"]
    rows += [
        f"{block.name},{operator},{weight},{activation},0.5,0.1,pi4,latency,ms"
        for block in tables.blocks
        for operator, weight, activation in dict.fromkeys(block.labels)
    ]
    (inputs / "pi4.csv").write_text("\n".join([*rows, "(fixed),,,,0.1,0,pi4,latency,ms"]) + "\n", encoding="utf-8")
    for kind in kinds:
        folder, parts = inputs / f"good-{kind}", KINDS[kind]
        folder.mkdir()
        arguments = [part.replace("{}", str(folder)).replace("{jobs}", "1") for part in parts]
        code, said = called(arguments, inputs, f"good {kind}")
        if code != 0:
            raise SystemExit(f"the undisturbed {kind} ended with {code}: {said}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", help="a verb or kind; repeatable [all]")
    only = parser.parse_args().only or [*VERBS, *KINDS]
    begun, entries = time.monotonic(), []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        inputs, room = Path(name) / "inputs", Path(name) / "room"
        for folder in (inputs, room):
            folder.mkdir()
        make_inputs(inputs)
        kinds = {*KINDS} & {*only} | ({"run", "search"} if {*VERBS} & {*only} else set())
        warm(inputs, room, kinds)
        make_good(inputs, kinds)
        # Now, as verbs below write into the run.
        good = {kind: contents(inputs / f"good-{kind}") for kind in kinds}
        found = [path.parent.name for path in (inputs / "good-run").glob("networks/*/network.json")]
        disk = Disk(room)
        try:
            for verb, parts in VERBS.items():
                if verb in only:
                    arguments = [part.replace("NETWORK", found[0]) for part in parts]
                    entries.append(try_verb(verb, arguments, disk, inputs))
                    print(json.dumps(entries[-1]), flush=True)
            for kind in KINDS:
                if kind in only:
                    entries.append(try_stages(kind, disk, inputs, good[kind]))
                    print(json.dumps(entries[-1]), flush=True)
        finally:
            os.chdir("/")
            disk.close()
    bad = sum(entry["ending"].startswith("BAD") for entry in entries)
    print(f"{len(entries)} commands, {sum(entry.get('refusals', 0) for entry in entries)} refusals, {bad} failures")
    print(f"{time.monotonic() - begun:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
