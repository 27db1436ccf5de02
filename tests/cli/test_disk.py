"""Errors of disks and paths are one sentence and exit code 2 in every verb; the last good file stays."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evo_qnas.cli import main
from evo_qnas.tables.generate import generate_tables

Command = Callable[..., tuple[int, str, str]]
# What each verb is called with; its output goes to the end.
WRITERS = {
    "import": ("tables", "import", "tables.csv", "-o"),
    "export": ("tables", "export", "tables.h5", "-o"),
    "search": ("search", "tables.h5", "--evaluations", "120", "-o"),
    "report": ("report", "archive.h5", "-o"),
    "plot": ("plot", "archive.h5", "-o"),
    "compare": ("compare", "tables.h5", "--evaluations", "60", "--seeds", "1", "--jobs", "1", "-o"),
    "run": ("run", "digits", "-o"),
}
ENDINGS = {"import": ".h5", "export": ".csv", "search": ".h5", "report": ".html", "plot": ".png"}
FOLDERS = ("compare", "run")
# What each verb reads.
READERS = {
    "check": ("tables", "check", "{}"),
    "import": ("tables", "import", "{}", "-o", "a.h5"),
    "export": ("tables", "export", "{}", "-o", "a.csv"),
    "measure": ("tables", "measure", "{}"),
    "search": ("search", "{}", "-o", "a.h5"),
    "profile": ("profile", "{}"),
    "front": ("front", "{}"),
    "watch": ("watch", "{}"),
    "report": ("report", "{}", "-o", "a.html"),
    "plot": ("plot", "{}", "-o", "a.png"),
    "compare": ("compare", "{}", "-o", "compared"),
    "network": ("export", "{}", "--network", "a", "-o", "a.onnx"),
    "blocks": ("export-blocks", "{}", "-o", "blocks"),
    "run": ("run", "{}", "-o", "run"),
}


@pytest.fixture
def evo_qnas(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process; exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["evo-qnas", *arguments])
        with pytest.raises(SystemExit, match=r"\d") as caught:
            main()
        found = capfd.readouterr()
        return int(str(caught.value.code)), found.out, found.err

    return run


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evo_qnas: Command) -> Path:
    """A folder with tables and an archive, in which commands run."""
    monkeypatch.chdir(tmp_path)
    tables = generate_tables(4, operators=3)
    tables.save("tables.h5")
    tables.to_csv("tables.csv")
    assert evo_qnas("search", "tables.h5", "--evaluations", "120", "-o", "archive.h5")[0] == 0
    (tmp_path / "file").touch()
    return tmp_path


def is_one_sentence(code: int, error: str) -> bool:
    return code == 2 and error.startswith("evo-qnas: ") and error.count("\n") == 1 and "Traceback" not in error


@pytest.mark.parametrize("verb", WRITERS)
def test_no_place_for_the_output_is_one_sentence(inputs: Path, evo_qnas: Command, verb: str) -> None:
    targets = ["file/{}", "/proc/{}", "/dev/null/{}", "a" * 5000 + "{}", "/".join(["folder"] * 700) + "/{}"]
    # A run loads its data before it looks at its folder, which takes seconds.
    for target in targets[1:3] if verb == "run" else targets:
        code, _, error = evo_qnas(*WRITERS[verb], target.format(f"made{ENDINGS.get(verb, '')}"))
        assert is_one_sentence(code, error), (target, code, error)
        assert "cannot be written: " in error or "too long" in error, error
    if verb in FOLDERS:
        return
    refused = inputs / f"refused{ENDINGS[verb]}"
    os.mkfifo(refused)
    for target in ["/", ".", str(inputs), str(refused)]:
        if verb == "plot" and target != str(refused):
            continue  # a picture's name needs an ending
        code, _, error = evo_qnas(*WRITERS[verb], target)
        assert is_one_sentence(code, error), (target, code, error)
        assert "cannot be written: it is a " in error
    assert stat.S_ISFIFO(refused.stat().st_mode)


@pytest.mark.parametrize("verb", ENDINGS)
def test_a_full_disk_is_one_sentence_and_the_last_good_file_stays(
    inputs: Path, evo_qnas: Command, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    file, link = inputs / f"good{ENDINGS[verb]}", inputs / f"link{ENDINGS[verb]}"
    assert evo_qnas(*WRITERS[verb], str(file))[0] == 0
    link.symlink_to(file.name)
    good, names = file.read_bytes(), sorted(inputs.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        broken.setattr(os, "write", full)
        code, _, error = evo_qnas(*WRITERS[verb], str(link), *(["--evaluations", "150"] if verb == "search" else []))
    assert is_one_sentence(code, error), (code, error)
    assert "cannot be written: No space left on device; " in error
    assert file.read_bytes() == good
    assert sorted(inputs.iterdir()) == names
    assert evo_qnas(*WRITERS[verb], str(link))[0] == 0
    assert link.is_symlink()


def test_a_limit_on_the_size_of_files_is_one_sentence(inputs: Path) -> None:
    resource = pytest.importorskip("resource")
    good = (inputs / "archive.h5").read_bytes()
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))  # noqa: E731 - it runs in the child
    # A coverage run's own data file would be cut short too.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    # So would compiled modules: Python takes the short write for a whole one, and later imports fail.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    names = sorted(inputs.iterdir())
    for arguments in (
        ("tables", "export", "tables.h5", "-o", "tables.csv"),
        ("search", "tables.h5", "--evaluations", "150", "-o", "archive.h5"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "evo_qnas.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            preexec_fn=limit,
        )
        assert is_one_sentence(done.returncode, done.stderr), done.stderr
        assert "cannot be written: File too large; " in done.stderr
    assert (inputs / "archive.h5").read_bytes() == good
    # The journal has what the archive could not take.
    assert sorted(inputs.iterdir()) == sorted([*names, inputs / "archive.h5.journal"])


def test_names_that_are_no_utf_8_are_names(inputs: Path, evo_qnas: Command) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (inputs / "archive.h5").rename(inputs / f"{odd}.h5")
    for verb, ending in (("report", ".html"), ("plot", ".png")):
        code, out, error = evo_qnas(verb, f"{odd}.h5", "-o", f"{odd}{ending}")
        assert (code, error) == (0, "")
        assert out.startswith(f"caf\\udce9{ending}: ")
        assert (inputs / f"{odd}{ending}").stat().st_size > 1000
    assert "caf\\udce9" in (inputs / f"{odd}.html").read_text(encoding="utf-8")
    code, _, error = evo_qnas("report", f"{odd}.absent", "-o", "a.html")
    assert is_one_sentence(code, error)


@pytest.mark.parametrize("verb", READERS)
def test_inputs_whose_paths_lead_nowhere_are_one_sentence(inputs: Path, evo_qnas: Command, verb: str) -> None:
    (inputs / "loop").symlink_to("loop")
    for path, cause in (
        ("a" * 5000, "File name too long"),
        ("/".join(["folder"] * 800), "File name too long"),
        ("loop", "Too many levels of symbolic links"),
        ("file/a", "Not a directory"),
    ):
        code, _, error = evo_qnas(*[part.format(path) for part in READERS[verb]])
        assert is_one_sentence(code, error), (path[:20], code, error)
        assert "damaged" not in error
        named = any(words in error for words in (cause, "there is no", "is not there", "is no run folder", "neither a"))
        assert named, (path[:20], error)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_nobody_can_take_is_one_sentence(inputs: Path) -> None:
    command = [sys.executable, "-m", "evo_qnas.cli", "front", "archive.h5"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("evo-qnas: No space left on device; make room, then run the same command again\n")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
