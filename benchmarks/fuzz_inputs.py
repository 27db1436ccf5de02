"""Hands damaged files to every reader: each is read, or refused in one sentence, in little time and memory.

    python -m benchmarks.fuzz_inputs --cases 10000
    python -m benchmarks.fuzz_inputs --cases 200 --reader csv --seed 3

This process imports everything once. A fork of it for each reader makes good files, and forks for a few cases at a time
a process under limits (5 s of the processor and 60 s of waiting for a case, 1 GB of memory beyond the imports), in
which a file is damaged by the seed, the reader and the number of the case, and then read: by the library, every fourth
case by the command line. Endings are lines of a log, and the same command goes on where it was stopped.
"""

import argparse
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

HANG_SECONDS = 60
# Cases of one child: a fork of a process with torch in it takes as long as some cases.
BATCH = 8
# Beyond the limit of memory, so that what crosses it is seen as such and not as an error of the reader.
_SPARE_MEGABYTES = 500


def serve(name: str, seed: int, numbers: list[int], log: Path) -> int:
    """Tries cases of one reader in a fork of this process; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        with tempfile.TemporaryDirectory() as folder:
            _serve(name, seed, numbers, Path(folder), log)
        code = 0
    finally:
        sys.stdout.flush()
        os._exit(code)


def _serve(name: str, seed: int, numbers: list[int], folder: Path, log: Path) -> None:
    """Tries cases of one reader, a few in a process of their own."""
    from benchmarks.fuzzing import READERS
    from benchmarks.fuzzing.reader import Verdict

    warnings.simplefilter("ignore")
    reader, good, cases = READERS[name], folder / "good", folder / "cases"
    for made in (good, cases):
        made.mkdir()
    reader.make_good(good)
    # What is imported and cached by a first case is not imported and cached in each.
    for index in range(8):
        case = cases / f"warm{index}"
        case.mkdir()
        with suppress(Exception):
            reader.damage(good, case, __import__("numpy").random.default_rng(index))
            reader.read(case)
        shutil.rmtree(case)
    if (arguments := reader.command(good)) is not None and os.fork() == 0:
        Verdict.of_command(arguments)
        os._exit(0)
    with log.open("a", encoding="utf-8") as lines:
        while numbers:
            entries = forked(reader, good, cases, seed, numbers[:BATCH])
            for entry in entries:
                lines.write(json.dumps({"reader": name, "seed": seed, **entry}) + "\n")
                if entry["ending"].startswith("BAD"):
                    print(f"{name}, case {entry['case']}, {entry['what']}: {entry['ending']}", flush=True)
            lines.flush()
            numbers = numbers[len(entries) :]


def forked(reader: Any, good: Path, cases: Path, seed: int, numbers: list[int]) -> list[dict[str, Any]]:
    """What was done in cases of one child, how they ended, seconds and megabytes; up to the first that kills it."""
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        _in_child(reader, good, cases, (seed, numbers), send)
    os.close(send)
    text, hung = b"", False
    while not hung:
        ready, _, _ = select.select([receive], [], [], HANG_SECONDS)
        if not ready:
            hung = _hangs(child)
            continue
        piece = os.read(receive, 65536)
        if not piece:
            break
        text += piece
    if hung:
        os.kill(child, signal.SIGKILL)
    os.close(receive)
    _, status = os.waitpid(child, 0)
    entries = [json.loads(line) for line in text.splitlines()]
    if len(entries) < len(numbers):
        why = "hung" if hung else f"died ({os.waitstatus_to_exitcode(status)})"
        number = numbers[len(entries)]
        entries.append({"case": number, "what": "?", "ending": f"BAD {why}", "seconds": 0.0, "megabytes": 0.0})
        shutil.rmtree(cases / f"case-{number}", ignore_errors=True)
    return entries


def _hangs(child: int) -> bool:
    """True where a child waits for something, or has computed for too long; not where others have the processor."""
    fields = Path(f"/proc/{child}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return fields[0] not in {"R", "D"} or seconds > HANG_SECONDS


def _in_child(reader: Any, good: Path, cases: Path, chosen: tuple[int, list[int]], send: int) -> None:
    """Tries cases under limits, a line for each."""
    from benchmarks.fuzzing.reader import LIMIT_MEGABYTES, peak_megabytes, try_case

    pages, resident = (int(part) for part in Path("/proc/self/statm").read_text(encoding="ascii").split()[:2])
    page = resource.getpagesize()
    limit = pages * page + (LIMIT_MEGABYTES + _SPARE_MEGABYTES) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    os.dup2(os.open(os.devnull, os.O_RDWR), 2)
    seed, numbers = chosen
    for number in numbers:
        case = cases / f"case-{number}"
        case.mkdir()
        os.chdir(case)
        try:
            what, ending, seconds = try_case(reader, good, case, seed, number)
        except BaseException as error:
            what, ending, seconds = "?", f"BAD the case cannot be made: {type(error).__name__}: {error}", 0.0
        taken = peak_megabytes() - resident * page / 2**20
        if taken > LIMIT_MEGABYTES and not ending.startswith("BAD"):
            ending = f"BAD took {taken:.0f} MB, {ending}"
        entry = {"case": number, "what": what, "ending": ending[:1000], "seconds": round(seconds, 3)}
        os.write(send, (json.dumps({**entry, "megabytes": round(taken, 1)}) + "\n").encode())
        shutil.rmtree(case, ignore_errors=True)
    os._exit(0)


def known(log: Path, seed: int) -> list[dict[str, Any]]:
    """Cases of a log with this seed."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    entries = []
    for line in lines:
        with suppress(ValueError):
            entries.append(json.loads(line))
    return [entry for entry in entries if entry["seed"] == seed]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="of all chosen readers together")
    parser.add_argument("--reader", action="append", help="repeatable [all]")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, default=Path("results/fuzz_inputs.jsonl"))
    parser.add_argument("--only", type=int, action="append", help="number of a case to try alone, with its text")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from benchmarks.fuzzing import READERS

    names = options.reader or list(READERS)
    log = options.log.resolve()
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    for place, name in enumerate(names):
        share = options.cases // len(names) + (place < options.cases % len(names))
        done = {entry["case"] for entry in known(log, options.seed) if entry["reader"] == name}
        numbers = options.only or [number for number in range(share) if number not in done]
        if numbers and serve(name, options.seed, numbers, log):
            print(f"{name}: the server itself failed", flush=True)
            return 2
    return summarize([entry for entry in known(log, options.seed) if entry["reader"] in names], start)


def summarize(entries: list[dict[str, Any]], start: float) -> int:
    """Prints a row for each reader; gives the exit code."""
    print("| reader | cases | read | refused | failures | most seconds | most MB |\n|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(entry["reader"] for entry in entries):
        mine = [entry for entry in entries if entry["reader"] == name]
        counts = Counter(entry["ending"].split()[0] for entry in mine)
        most = [max(entry[key] for entry in mine) for key in ("seconds", "megabytes")]
        print(
            f"| {name} | {len(mine):,} | {counts['read']:,} | {counts['refused']:,} | {counts['BAD']} "
            f"| {most[0]:.1f} | {most[1]:.0f} |"
        )
    bad = sum(entry["ending"].startswith("BAD") for entry in entries)
    print(f"{len(entries):,} cases, {bad} failures, {time.perf_counter() - start:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
