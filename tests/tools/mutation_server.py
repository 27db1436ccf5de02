"""Runs tests on mutants, each in a fork of a process that has imported the heavy libraries but not evo_qnas."""

import contextlib
import importlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

HEAVY = (  # without the plug-ins of pytest, hypothesis and jaxtyping, which it wants to import itself
    *("numpy", "scipy.stats", "scipy.optimize", "scipy.sparse", "h5py", "pandas", "pydantic", "joblib", "typer"),
    *("rich", "moocore", "tomlkit", "matplotlib.pyplot", "beartype", "torch", "torch.fx"),
    *("pymoo.optimize", "pymoo.algorithms.moo.nsga2", "pymoo.algorithms.moo.nsga3", "sklearn.datasets"),
    *("onnx", "onnxruntime"),
)
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "dist", "mutation", ".*_cache", ".hypothesis", "__pycache__")
BROKEN = 70  # exit status of a fork in which pytest did not end
MEMORY_BYTES = 16 * 2**30  # of address space, so that a mutant that never stops asking fails alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Tests to run in this order, in a copy of the repository in which one file may differ."""

    name: str
    tests: list[str]
    fresh: list[str] = field(default_factory=list)  # files all of whose tests that are not in `known` are run first
    known: frozenset[str] = frozenset()
    path: str = ""
    source: str = ""
    limit_s: float = 600.0
    stop_at_first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`status` is pytest's, -1 for one that ran out of time; `failed` are the tests that did not pass."""

    status: int
    failed: list[str]
    ran: int
    seconds: float


class Chosen:
    """The pytest plug-in that keeps the tests of a `Work`, in its order, and notes what failed."""

    def __init__(self, work: Work, log: Path) -> None:
        self._work, self._log = work, log

    def pytest_configure(self) -> None:
        """The same examples every time, and no search for smaller ones: a mutant is killed by any."""
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", phases=phases, derandomize=True, database=None, deadline=None)
        hypothesis.settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        order = {test: place for place, test in enumerate(self._work.tests)}
        fresh = [i for i in items if i.nodeid not in self._work.known and i.nodeid.split("::")[0] in self._work.fresh]
        chosen = sorted((i for i in items if i.nodeid in order), key=lambda item: order[item.nodeid])
        items[:] = [*fresh, *(item for item in chosen if item not in fresh)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.when == "call":
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"{'failed' if report.failed else 'ran'} {report.nodeid}\n")


def serve(root: Path, scratch: Path, works: list[Work], jobs: int) -> Iterator[tuple[Work, Verdict]]:
    """Verdicts as they come, `jobs` at a time."""
    _prepare(root)
    copies = [_copied(root, scratch / f"copy{number}") for number in range(jobs)]
    running: dict[int, tuple[Work, Path, float]] = {}
    waiting = list(reversed(works))
    try:
        while waiting or running:
            while waiting and copies:
                work, copy = waiting.pop(), copies.pop()
                running[_start(work, root, copy)] = (work, copy, time.monotonic())
            for process, verdict in _ended(running):
                work, copy, _ = running.pop(process)
                if work.path:
                    shutil.copy2(root / work.path, copy / work.path)
                copies.append(copy)
                yield work, verdict
            time.sleep(0.05)
    finally:
        for process in running:
            _kill(process)


def _prepare(root: Path) -> None:
    """Everything heavy is imported once; nothing of evo_qnas or its tests is."""
    os.environ["EVO_QNAS_DATA"] = str(Path(os.environ.get("EVO_QNAS_DATA", root.parent / "shared" / "data")).resolve())
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] in {"evo_qnas", "tests"}]:
        if name not in {"tests", "tests.tools"} and not name.startswith("tests.tools."):
            del sys.modules[name]


def _copied(root: Path, copy: Path) -> Path:
    """A copy with the byte code of all unchanged files, so that a mutant costs one compilation."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy, ignore=LEFT_OUT)
    process = os.fork()
    if process == 0:
        del os.environ["PYTHONDONTWRITEBYTECODE"]
        _child(Work(name="warm", tests=[]), root, copy, ["--collect-only", "tests", "evo_qnas"])
    os.waitpid(process, 0)
    return copy


def _start(work: Work, root: Path, copy: Path) -> int:
    if work.path:
        target = copy / work.path
        target.write_text(work.source, encoding="utf-8")
        later = (root / work.path).stat().st_mtime + 1e6  # never the time of the file whose byte code is there
        os.utime(target, (later, later))
    (copy / "log.txt").write_text("")
    files = list(dict.fromkeys([*work.fresh, *(test.split("::")[0] for test in work.tests)]))
    process = os.fork()
    if process == 0:
        _child(work, root, copy, [*files, *(["-x"] if work.stop_at_first else [])])
    return process


def _child(work: Work, root: Path, copy: Path, arguments: list[str]) -> NoReturn:
    """Runs pytest in the copy and leaves with its status, without the parent's clean-up."""
    status = BROKEN
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        with (copy / "output.txt").open("w", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ["PYTHONPATH"] = str(copy)
        sys.path[:] = [str(copy), *(entry for entry in sys.path if Path(entry).resolve() not in {root, copy})]
        os.chdir(copy)
        sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in os.environ
        for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
            del sys.modules[name]
        options = ["-q", f"--basetemp={copy}-files"]
        options += [word for plugin in ("cacheprovider", "xdist", "cov") for word in ("-p", f"no:{plugin}")]
        status = int(pytest.main([*options, *arguments], plugins=[Chosen(work, copy / "log.txt")]))
    except BaseException:
        (copy / "output.txt").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        sys.stdout.flush()
        os._exit(status)


def _ended(running: dict[int, tuple[Work, Path, float]]) -> list[tuple[int, Verdict]]:
    found = []
    for process, (work, copy, began) in running.items():
        ended, code = os.waitpid(process, os.WNOHANG)
        seconds = time.monotonic() - began
        if not ended and seconds > work.limit_s:
            _kill(process)
            ended, code = process, -1
        if ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)  # workers that it left
            lines = (copy / "log.txt").read_text(encoding="utf-8").splitlines()
            failed = [line.partition(" ")[2] for line in lines if line.startswith("failed")]
            status = -1 if code == -1 else os.waitstatus_to_exitcode(code)
            if status == BROKEN:
                raise RuntimeError(f"pytest did not end: {(copy / 'output.txt').read_text(encoding='utf-8')}")
            found.append((process, Verdict(status=status, failed=failed, ran=len(lines), seconds=seconds)))
    return found


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
