import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evo_qnas.archive import Archive, Evaluations, Header, Recorder
from evo_qnas.errors import ArchiveError

Batches = Callable[..., list[Evaluations]]


def same(one: Evaluations, other: Evaluations) -> bool:
    equal = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one.parts, other.parts, strict=True))
    return equal and dict(one.reasons) == dict(other.reasons)


def test_what_is_written_comes_back(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "new" / "a.h5"
    with Recorder.open(path, header) as recorder:
        for batch in batches():
            recorder.append(batch)
        made = recorder.finish({"jobs": 2})
    found = Archive.load(path)
    assert same(found.evaluations, Evaluations.joined(batches()))
    assert same(found.evaluations, made.evaluations)
    assert found.finished
    assert list(path.parent.iterdir()) == [path]
    for name in ("rows", "genomes", "objectives", "constraints"):
        assert np.array_equal(getattr(found.front, name), getattr(made.front, name))


def test_objectives_are_in_the_users_direction(tmp_path: Path, header: Header, batches: Batches) -> None:
    recorder = Recorder.open(tmp_path / "a.h5", header)
    recorder.append(batches()[0])
    recorder.finish()
    found = Archive.load(tmp_path / "a.h5")
    assert (found.objectives[:, 1] > 0).all()
    assert (found.front.objectives[:, 1] > 0).all()
    assert (found.evaluations.objectives[:, 1] < 0).all()


def test_a_dropped_recorder_loses_nothing(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "a.h5"
    recorder = Recorder.open(path, header)
    for batch in batches()[:4]:
        recorder.append(batch)
    recorder.flush()
    running = Archive.load(path)
    assert same(running.evaluations, Evaluations.joined(batches()[:4]))
    assert not running.finished
    assert len(running.front) > 0
    recorder.close()
    assert same(Archive.load(path).evaluations, Evaluations.joined(batches()[:4]))


def test_a_resumed_search_appends_everything_again(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "a.h5"
    with Recorder.open(path, header) as recorder:
        for batch in batches()[:2]:
            recorder.append(batch)
        recorder.append(batches()[2].rows(0, 5))
    with Recorder.open(path, header) as recorder:
        assert len(recorder.recorded) == 25
        for batch in batches():
            recorder.append(batch)
        recorder.finish()
    assert same(Archive.load(path).evaluations, Evaluations.joined(batches()))


def test_values_known_early_are_kept_for_a_resumed_search(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "a.h5"
    first, second = batches()[:2]
    for _ in range(2):
        with Recorder.open(path, header) as recorder:
            recorder.append(first)
            recorder.keep(second.rows(3, 6))
    with Recorder.open(path, header) as recorder:
        assert same(recorder.recorded.rows(10, 13), second.rows(3, 6))
        recorder.append(first)
        recorder.append(second)
        recorder.finish()
    assert same(Archive.load(path).evaluations, Evaluations.joined([first, second]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"seed": 4}, "seed: 3 before, 4 now"),
        ({"algorithm": "nsga2"}, "algorithm: random before, nsga2 now"),
        ({"settings": {"evaluations": 60, "population": 12}}, "population: 10 before, 12 now"),
        ({"fingerprint": "beef"}, "fingerprint differs"),
        ({"constraints": ()}, "constraints: latency_ms <= 2 .ms. before, none now"),
        ({"settings": {"evaluations": 50, "population": 10}}, "60 evaluations, 50 were asked for"),
    ],
)
def test_another_search_is_refused(
    tmp_path: Path, header: Header, batches: Batches, change: dict[str, object], text: str
) -> None:
    path = tmp_path / "a.h5"
    with Recorder.open(path, header) as recorder:
        for batch in batches():
            recorder.append(batch)
        recorder.finish()
    before = path.read_bytes()
    with pytest.raises(ArchiveError, match=f"{text}.*use another path, or start anew"):
        Recorder.open(path, replace(header, **change))
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_evaluations_may_grow(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "a.h5"
    with Recorder.open(path, header) as recorder:
        recorder.append(batches()[0])
        recorder.finish()
    with Recorder.open(path, replace(header, settings={"evaluations": 90, "population": 10})) as recorder:
        assert len(recorder.recorded) == 10


def test_a_second_writer_is_refused(tmp_path: Path, header: Header) -> None:
    with Recorder.open(tmp_path / "a.h5", header), pytest.raises(ArchiveError, match=r"written by process \d+ on"):
        Recorder.open(tmp_path / "a.h5", header)
    Recorder.open(tmp_path / "a.h5", header).close()


def test_a_replay_that_differs_is_refused(tmp_path: Path, header: Header, batches: Batches) -> None:
    path = tmp_path / "a.h5"
    with Recorder.open(path, header) as recorder:
        recorder.append(batches()[0])
    with (
        Recorder.open(path, header) as recorder,
        pytest.raises(ArchiveError, match="tries other networks from evaluation 0 on"),
    ):
        recorder.append(batches(seed=1)[0])
    assert len(Archive.load(path)) == 10


def test_a_recorder_in_memory_writes_nothing(header: Header, batches: Batches) -> None:
    recorder = Recorder.open(None, header)
    recorder.append(batches()[0])
    archive = recorder.finish()
    assert archive.path is None
    assert len(archive) == 10


def test_an_evaluation_reaches_the_disk_while_the_next_one_runs(
    tmp_path: Path, header: Header, batches: Batches
) -> None:
    with Recorder.open(tmp_path / "a.h5", header) as recorder:
        recorder.append(batches()[0])
        late = time.monotonic() + 30
        while not len(Archive.load(tmp_path / "a.h5")) and time.monotonic() < late:
            time.sleep(0.02)
        assert len(Archive.load(tmp_path / "a.h5")) == 10


def test_the_row_from_which_a_replay_differs_is_named(tmp_path: Path, header: Header, batches: Batches) -> None:
    path, batch = tmp_path / "a.h5", batches()[0]
    with Recorder.open(path, header) as recorder:
        recorder.append(batch)
    genomes = batch.genomes.copy()
    genomes[7:, -1] = (genomes[7:, -1] + 1) % 2
    with (
        Recorder.open(path, header) as recorder,
        pytest.raises(ArchiveError, match=r"tries other networks from evaluation 7 on"),
    ):
        recorder.append(replace(batch, genomes=genomes))
