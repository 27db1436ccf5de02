"""The mutation trial: are the tests able to see that the code is wrong?

    python -m tests.tools.mutation_trial                    # 150 mutants of the engine and of quantization
    python -m tests.tools.mutation_trial --again            # the survivors once more, after tests were added

Run it in the repository's root. It draws mutants by a fixed seed (see `mutants`), applies each in a copy of the
repository and runs the fast tests that execute the changed statement, those of the same part and the fastest first,
until one fails. Which tests those are says one run of all fast tests with coverage, made anew when evo_qnas is not what
it was then. Tests past `--budget` seconds are left out, so a mutant that only they kill survives, as one does that no
test executes. At the end every test that killed must pass on the unchanged code.

`results/mutation/` takes the record and `trial.jsonl`, a line for each mutant; the same command goes on where it
stopped. A mutant that changes no behaviour goes into `equivalent_mutants.toml` beside this file, with the reason.
The exit status is 0 where at least `--floor` of the mutants that change behaviour were killed.
"""

import argparse
import difflib
import json
import sys
import tempfile
import tomllib
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from tests.tools import coverage_record
from tests.tools.coverage_record import Record
from tests.tools.mutants import Mutant, draw, functions
from tests.tools.mutation_server import Verdict, Work, serve

ROOT = Path(__file__).resolve().parent.parent.parent
PARTS = [
    *("spaces", "tables", "problem", "pareto", "archive", "predict", "search", "compare", "jobs"),
    *("networks/quantization", "networks/integer", "networks/capture"),
]
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
Row = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    options = _options(arguments)
    folder: Path = options.output
    record = coverage_record.read(ROOT, folder)
    if record is None:
        coverage_record.record(ROOT, folder, options.jobs)
        record = coverage_record.read(ROOT, folder)
        assert record is not None
    drawn = list(draw(functions(ROOT, options.part or PARTS), options.mutants, options.seed))
    rows = _rows(drawn, _kept(folder / "trial.jsonl", again=options.again))
    waiting = [mutant for mutant in drawn if mutant.key not in rows]
    _write(folder / "trial.jsonl", rows)
    with (folder / "trial.jsonl").open("a", encoding="utf-8") as log, tempfile.TemporaryDirectory() as scratch:
        by_name = {str(number): mutant for number, mutant in enumerate(waiting)}
        works = [_work(name, mutant, record, options.budget) for name, mutant in by_name.items()]
        idle = Verdict(status=5, failed=[], ran=0, seconds=0.0)
        unseen = ((work, idle) for work in works if not work.tests and not work.fresh)
        tried = serve(ROOT, Path(scratch), [work for work in works if work.tests or work.fresh], options.jobs)
        for work, verdict in chain(unseen, tried):
            row = _row(by_name[work.name], record, work, verdict)
            rows[by_name[work.name].key] = row
            log.write(json.dumps(row) + "\n")
            log.flush()
            print(
                f"{len(rows):4} {row['outcome']:9} {verdict.seconds:5.1f} s  {row['function']}  {row['by']}", flush=True
            )
        _doubt(rows, Path(scratch))
    return _summary(list(rows.values()), options.floor)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of tests for one mutant, as recorded")
    parser.add_argument("--floor", type=float, default=0.95, help="share that must be killed")
    parser.add_argument("--part", action="append", help="a part to draw from, such as pareto; several may be named")
    parser.add_argument("--again", action="store_true", help="try the survivors of the last run again")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "mutation")
    return parser.parse_args(arguments)


def _kept(path: Path, *, again: bool) -> dict[tuple[str, ...], Row]:
    """Results of earlier runs."""
    if not path.is_file():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {tuple(row["key"]): row for row in rows if not (again and row["outcome"] == SURVIVED)}


def _write(path: Path, rows: dict[tuple[str, ...], Row]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()), encoding="utf-8")


def _rows(drawn: list[Mutant], kept: dict[tuple[str, ...], Row]) -> dict[tuple[str, ...], Row]:
    """What is known of the drawn mutants: earlier results for the same file, and the list of equivalent ones."""
    equivalent = {tuple(entry[k] for k in ("part", "function", "before", "after")): entry for entry in _equivalent()}
    rows: dict[tuple[str, ...], Row] = {}
    for mutant in drawn:
        if mutant.key in equivalent:
            rows[mutant.key] = _described(mutant) | {"outcome": EQUIVALENT, "by": equivalent[mutant.key]["reason"]}
        elif mutant.key in kept and kept[mutant.key]["diff"] == _diff(mutant):
            rows[mutant.key] = kept[mutant.key]
    return rows


def _equivalent() -> list[dict[str, str]]:
    text = (Path(__file__).parent / "equivalent_mutants.toml").read_text(encoding="utf-8")
    entries: list[dict[str, str]] = tomllib.loads(text).get("mutant", [])
    return entries


def _work(name: str, mutant: Mutant, record: Record, budget: float) -> Work:
    """The tests that can kill a mutant: its part's own first, then the fastest."""
    here = f"tests/{mutant.part}"
    own = (f"{here}/", f"{here}.py", f"tests/test_{mutant.part}.py")
    mirrored = {test for test in record.seconds if test.startswith(own)}
    elsewhere = mirrored if record.executed(mutant.path, mutant.lines) else set()
    tests = sorted(
        record.reaching(mutant.path, mutant.lines) or elsewhere,
        key=lambda test: (test not in mirrored, record.seconds[test]),
    )
    spent = 0.0
    chosen: list[str] = []
    for test in tests:
        spent += record.seconds[test]
        if chosen and spent > budget:
            break
        chosen.append(test)
    now = coverage_record.digests(ROOT)
    fresh = [path for path in now if path.startswith(f"{here}/test_") and now[path] != record.digests.get(path)]
    return Work(
        name=name,
        tests=chosen,
        fresh=fresh,
        known=frozenset(record.seconds),
        path=mutant.path,
        source=mutant.source,
        limit_s=120.0 + 5.0 * min(spent, budget),
    )


def _row(mutant: Mutant, record: Record, work: Work, verdict: Verdict) -> Row:
    """A line of `trial.jsonl`; statuses of pytest: 0 all passed, 5 there was none to run."""
    reached = len(record.reaching(mutant.path, mutant.lines))
    killed = verdict.status not in {0, 5}
    by = (verdict.failed or ["time limit" if verdict.status == -1 else f"status {verdict.status}"])[0] if killed else ""
    return _described(mutant) | {
        "outcome": KILLED if killed else SURVIVED,
        "by": by,
        "reached_by": reached,
        "ran": verdict.ran,
        "left_out": max(0, reached - len(work.tests)),
        "seconds": round(verdict.seconds, 1),
    }


def _described(mutant: Mutant) -> Row:
    return {
        "key": list(mutant.key),
        "path": mutant.path,
        "function": f"{mutant.path.removesuffix('.py').replace('/', '.')}.{mutant.function}",
        "operator": mutant.operator,
        "diff": _diff(mutant),
    }


def _diff(mutant: Mutant) -> str:
    before = (ROOT / mutant.path).read_text(encoding="utf-8").splitlines()
    lines = difflib.unified_diff(before, mutant.source.splitlines(), mutant.path, mutant.path, lineterm="", n=2)
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _doubt(rows: dict[tuple[str, ...], Row], scratch: Path) -> None:
    """Takes back what was killed by tests that fail on the unchanged code too."""
    killers = sorted({row["by"] for row in rows.values() if row["outcome"] == KILLED and "::" in row["by"]})
    work = Work(name="control", tests=killers, limit_s=3600.0, stop_at_first=False)
    failed = {test for _, verdict in serve(ROOT, scratch / "control", [work], 1) for test in verdict.failed}
    for row in rows.values():
        if row["outcome"] == KILLED and row["by"] in failed:
            row["outcome"], row["by"] = SURVIVED, f"only {row['by']}, which fails on the unchanged code as well"


def _summary(rows: list[Row], floor: float) -> int:
    for row in rows:
        if row["outcome"] == SURVIVED:
            print(f"\nsurvived: {row['function']}  ({row['operator']}; {row['ran']} tests, {row['left_out']} left out)")
            print(row["diff"], f"key = {row['key']!r}", row["by"], sep="\n")
    count = Counter(row["outcome"] for row in rows)
    changing = count[KILLED] + count[SURVIVED]
    share = count[KILLED] / changing if changing else 1.0
    print(
        f"\n{len(rows)} mutants: {count[KILLED]} killed, {count[SURVIVED]} survived, {count[EQUIVALENT]} equivalent; "
        f"{share:.1%} of those that change behaviour were killed (floor {floor:.0%})"
    )
    return 0 if share >= floor else 1


if __name__ == "__main__":
    sys.exit(main())
