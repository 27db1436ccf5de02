"""Which tests execute which lines of evo_qnas, and how long each takes: one run of the fast tests with coverage.

This module is also the pytest plug-in that notes the seconds of each test.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

SECONDS_FILE = "EVO_QNAS_TEST_SECONDS"  # environment: where the plug-in writes
_seconds: dict[str, float] = defaultdict(float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Seconds by test, and for each file of evo_qnas the tests by line; `digests` are of all Python files."""

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]
    digests: dict[str, str]

    def reaching(self, path: str, lines: tuple[int, int]) -> set[str]:
        """The tests that execute one of the lines, within the process of the test."""
        by_line = self.tests.get(path, {})
        return {test for line in range(lines[0], lines[1] + 1) for test in by_line.get(line, [])} & set(self.seconds)

    def executed(self, path: str, lines: tuple[int, int]) -> bool:
        """True also where only another process than that of a test executes one of the lines."""
        return any(line in self.tests.get(path, {}) for line in range(lines[0], lines[1] + 1))


def record(root: Path, folder: Path, jobs: int) -> None:
    """Runs the fast tests once; leaves `coverage.sqlite`, `seconds.json`, `digests.json`; forgets the last trial."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trial.jsonl").unlink(missing_ok=True)
    before = digests(root)
    environment = {
        **os.environ,
        "COVERAGE_FILE": str(folder / "coverage.sqlite"),
        SECONDS_FILE: str(folder / "seconds.json"),
        "PYTHONPATH": str(root),
    }
    options = f"-q -n {jobs} --dist=worksteal -p {__name__} --cov --cov-context=test --cov-report=".split()
    done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=root, env=environment, check=False)
    if done.returncode:
        raise SystemExit("the tests must pass before mutants are tried on them")
    (folder / "digests.json").write_text(json.dumps(before, indent=1), encoding="utf-8")


def read(root: Path, folder: Path) -> Record | None:
    """The record in the folder; nothing where there is none or where evo_qnas is not what it was."""
    names = ("coverage.sqlite", "seconds.json", "digests.json")
    if not all((folder / name).is_file() for name in names):
        return None
    then, now = json.loads((folder / "digests.json").read_text(encoding="utf-8")), digests(root)
    if any(then.get(path) != now.get(path) for path in {*then, *now} if path.startswith("evo_qnas/")):
        return None
    seconds = json.loads((folder / "seconds.json").read_text(encoding="utf-8"))
    return Record(seconds=seconds, tests=_tests_by_line(folder / "coverage.sqlite", root), digests=then)


def digests(root: Path) -> dict[str, str]:
    """The SHA-256 of each Python file of evo_qnas and tests."""
    files = [path for part in ("evo_qnas", "tests") for path in sorted((root / part).rglob("*.py"))]
    return {p.relative_to(root).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _tests_by_line(path: Path, root: Path) -> dict[str, dict[int, list[str]]]:
    from coverage import CoverageData

    data = CoverageData(basename=str(path))
    data.read()
    found: dict[str, dict[int, list[str]]] = {}
    for file in data.measured_files():
        lines = data.contexts_by_lineno(file)
        named = {line: sorted({c.rpartition("|")[0] for c in contexts if "|" in c}) for line, contexts in lines.items()}
        found[Path(os.path.relpath(file, root)).as_posix()] = named
    return found


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Adds up setup, call and teardown."""
    _seconds[report.nodeid] += report.duration


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes the seconds, in the process that hands out the tests only."""
    path = os.environ.get(SECONDS_FILE)
    if path and not hasattr(session.config, "workerinput"):
        Path(path).write_text(json.dumps(_seconds, indent=1), encoding="utf-8")
