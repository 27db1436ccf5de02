import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.archive import Archive, Evaluations, Header, Recorder, journal
from evo_qnas.archive.journal import journal_path
from evo_qnas.problem import ObjectiveInfo

Batches = Callable[..., list[Evaluations]]


@pytest.fixture
def running(tmp_path: Path, header: Header, batches: Batches) -> Path:
    """An archive whose writer was killed: the journal of a copy is what it had written by then."""
    path = tmp_path / "a.h5"
    with Recorder.open(path, header) as recorder:
        for batch in batches():
            recorder.append(batch)
            recorder.flush()
        log, skeleton = journal_path(path).read_bytes(), path.read_bytes()
    killed = tmp_path / "killed.h5"
    killed.write_bytes(skeleton)
    journal_path(killed).write_bytes(log)
    return killed


@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_the_umask_says_who_may_write_a_journal(tmp_path: Path, header: Header, mask: int) -> None:
    before = os.umask(mask)
    try:
        with Recorder.open(tmp_path / "a.h5", header):
            assert journal_path(tmp_path / "a.h5").stat().st_mode & 0o777 == 0o666 & ~mask
    finally:
        os.umask(before)


def test_a_kill_between_any_two_bytes_leaves_whole_batches(running: Path, batches: Batches) -> None:
    log = journal_path(running).read_bytes()
    wanted = Evaluations.joined(batches())
    found = set()
    for length in range(0, len(log) + 1, 151):
        journal_path(running).write_bytes(log[:length])
        archive = Archive.load(running)
        found.add(len(archive))
        assert np.array_equal(archive.genomes, wanted.genomes[: len(archive)])
        assert np.array_equal(archive.evaluations.objectives, wanted.objectives[: len(archive)])
    journal_path(running).write_bytes(log)
    assert found | {len(Archive.load(running))} == {0, 10, 20, 30, 40, 50, 60}


def test_a_torn_journal_is_continued(running: Path, header: Header, batches: Batches) -> None:
    log = journal_path(running).read_bytes()
    journal_path(running).write_bytes(log[:-5])
    with Recorder.open(running, header) as recorder:
        assert len(recorder.recorded) == 50
        for batch in batches():
            recorder.append(batch)
        recorder.finish()
    assert np.array_equal(Archive.load(running).genomes, Evaluations.joined(batches()).genomes)
    assert not journal_path(running).exists()


def test_a_journal_of_another_run_adds_nothing(running: Path, header: Header) -> None:
    log = journal_path(running).read_bytes()
    Recorder.open(running, header, resume=False).close()
    journal_path(running).write_bytes(log)
    assert len(Archive.load(running)) == 0


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, np.ndarray]:
    """An archive whose evaluations are all in its journal, the journal, and the genomes."""
    folder = tmp_path_factory.mktemp("journal")
    header = Header(blocks=("a", "b"), objectives=(ObjectiveInfo(name="score"),), algorithm="random")
    genomes = np.random.default_rng(0).integers(0, 300, size=(12, 2))
    with Recorder.open(folder / "a.h5", header) as recorder:
        for start in range(0, 12, 3):
            recorder.append(Evaluations.ok(genomes[start : start + 3], np.zeros((3, 1)), np.zeros((3, 0))))
            recorder.flush()
        log = journal_path(folder / "a.h5").read_bytes()
        (folder / "killed.h5").write_bytes((folder / "a.h5").read_bytes())
    return folder / "killed.h5", log, genomes


@settings(max_examples=40, deadline=None)
@given(places=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=3))
def test_wrong_bytes_never_give_wrong_evaluations(
    killed: tuple[Path, bytes, np.ndarray], places: list[tuple[int, int]]
) -> None:
    path, whole, genomes = killed
    log = bytearray(whole)
    for at, mask in places:
        log[at % len(log)] ^= mask
    journal_path(path).write_bytes(log)
    archive = Archive.load(path)
    assert np.array_equal(archive.genomes, genomes[: len(archive)])
    assert (archive.objectives == 0).all()
    assert len(archive) == 12 or bytes(log) != whole


def test_a_journal_that_was_removed_is_no_longer_the_open_file(tmp_path: Path) -> None:
    path, other = tmp_path / "a.journal", tmp_path / "b.journal"
    path.write_bytes(b"")
    other.write_bytes(b"")
    with path.open("rb") as handle:
        assert journal._same_file(path, handle.fileno())
        assert not journal._same_file(other, handle.fileno())
        path.unlink()
        assert not journal._same_file(path, handle.fileno())
