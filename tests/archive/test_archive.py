import copy
import json
import multiprocessing
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import pytest

from evo_qnas.archive import Archive, Evaluations, Header, Recorder, Validated
from evo_qnas.archive.reading import open_stored
from evo_qnas.errors import ArchiveError
from evo_qnas.files import SEAL_BYTES, Seal
from evo_qnas.problem import ObjectiveInfo, TableProblem
from evo_qnas.search import search
from evo_qnas.tables import Tables

Batches = Callable[..., list[Evaluations]]


@pytest.fixture
def path(tmp_path: Path, header: Header, batches: Batches) -> Path:
    place = tmp_path / "a.h5"
    with Recorder.open(place, header) as recorder:
        for batch in batches():
            recorder.append(batch)
        recorder.finish({"jobs": 1})
    return place


def reseal(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Alters an archive and seals it again, evaluations as extents, as a forger would."""
    image = path.with_suffix(".image")
    image.write_bytes(path.read_bytes()[SEAL_BYTES:])
    with h5py.File(image, "r+") as file:
        change(file)
    with h5py.File(image, "r") as file:
        places = [data.id for data in file["evaluations"].values() if isinstance(data, h5py.Dataset)]
        names = {"genome", "objectives", "constraints", "generation", "seconds", "state"}
        extents = [
            (place.get_offset(), place.get_storage_size())
            for place in places
            if place.get_offset() is not None and h5py.h5i.get_name(place).decode().rsplit("/", 1)[1] in names
        ]
    content = image.read_bytes()
    path.write_bytes(Seal.of(content, extents).pack() + content)


def test_the_front_is_what_no_other_evaluation_beats(path: Path) -> None:
    archive = Archive.load(path)
    rows = archive.evaluations
    best = []
    for row in range(len(rows)):
        if not rows.feasible[row]:
            continue
        others = rows.objectives[rows.feasible]
        beaten = (others <= rows.objectives[row]).all(axis=1) & (others < rows.objectives[row]).any(axis=1)
        if not beaten.any():
            best.append(row)
    assert 1 < len(best) < len(rows)
    assert sorted(archive.front.rows.tolist()) == best
    assert (np.diff(archive.front.objectives[:, 0]) >= 0).all()
    assert np.array_equal(archive.front.genomes, archive.genomes[archive.front.rows])
    assert (archive.front.constraints <= 0).all()


def test_of_equal_networks_the_first_is_on_the_front(header: Header) -> None:
    recorder = Recorder.open(None, replace(header, constraints=()))
    values = np.array([[2.0, 2.0], [1.0, 1.0], [1.0, 1.0], [np.nan, 0.0]])
    recorder.append(Evaluations.ok(np.arange(16).reshape(4, 4) % 6, values, np.zeros((4, 0))))
    assert recorder.finish().front.rows.tolist() == [1]


def test_failed_and_infeasible_networks_are_never_on_the_front(header: Header) -> None:
    recorder = Recorder.open(None, header)
    rows = Evaluations.ok(np.zeros((3, 4), np.int64), np.zeros((3, 2)), np.array([[1.0], [0.0], [-1.0]]))
    recorder.append(
        replace(rows, state=np.array([0, 1, 2], dtype=np.uint8), reasons=MappingProxyType({1: "it raised", 2: "late"}))
    )
    archive = recorder.finish()
    assert len(archive.front) == 0
    assert archive.history.feasible.tolist() == [0]
    assert archive.history.hypervolume.tolist() == [0.0]
    with pytest.raises(ArchiveError, match="front of the archive in memory is empty"):
        archive.knee()


def test_reasons_come_back(tmp_path: Path, header: Header, batches: Batches) -> None:
    with Recorder.open(tmp_path / "a.h5", header) as recorder:
        recorder.append(batches()[0])
        recorder.append(replace(batches()[1], reasons=MappingProxyType({3: "zu groß"})))
        recorder.finish()
    assert dict(Archive.load(tmp_path / "a.h5").evaluations.reasons) == {13: "zu groß"}


def test_select_takes_limits_on_objectives_and_columns(path: Path, tables: Tables) -> None:
    archive = Archive.load(path)
    chosen = archive.select("latency_ms <= 1.7", "speed >= 1.5")
    assert len(chosen) > 0
    assert (tables.total("latency_ms", chosen.genomes) <= 1.7).all()
    assert (chosen.objectives[:, 1] >= 1.5).all()
    fine = archive.evaluations.feasible & (tables.total("latency_ms", archive.genomes) <= 1.7)
    best = archive.select("latency_ms <= 1.7", best="speed")
    assert best.objectives[0, 1] == archive.objectives[fine, 1].max()
    least = archive.select(best="latency_ms")
    feasible = archive.evaluations.feasible
    assert tables.total("latency_ms", least.genomes)[0] == tables.total("latency_ms", archive.genomes[feasible]).min()


@pytest.mark.parametrize(
    ("limit", "best", "text"),
    [
        ("latency_ms <= 0", None, "none of 60 evaluated networks meets latency_ms <= 0"),
        ("weight <= 3", None, "no column 'weight'"),
        ("score < 3", None, "use <= or >="),
        ("score <= three", None, "'three' is no number"),
        ("score <= 9", "weight", "knows no 'weight'; there are: score, speed, latency_ms"),
    ],
)
def test_select_says_what_it_cannot_do(path: Path, limit: str, best: str | None, text: str) -> None:
    with pytest.raises(ArchiveError, match=text):
        Archive.load(path).select(limit, best=best)


def test_the_knee_is_below_the_line_through_the_ends(header: Header) -> None:
    recorder = Recorder.open(None, replace(header, constraints=()))
    values = np.array([[0.0, -1.0], [1.0, -8.0], [10.0, -10.0], [4.0, -8.5]])
    recorder.append(Evaluations.ok(np.arange(16).reshape(4, 4) % 6, values, np.zeros((4, 0))))
    assert recorder.finish().knee().objectives.tolist() == [[1.0, 8.0]]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_diverse_networks_differ_by_the_share(path: Path, share: float) -> None:
    archive = Archive.load(path)
    chosen = archive.diverse(5, min_difference=share)
    assert chosen.rows[0] == archive.knee().rows[0]
    assert len(chosen) == 5 if share < 1 else len(chosen) > 1
    for index, one in enumerate(chosen.genomes):
        for other in chosen.genomes[index + 1 :]:
            assert (one != other).mean() >= max(share, 0.25)
    assert archive.evaluations.feasible[chosen.rows].all()


def test_merged_archives_hold_both(path: Path, header: Header, batches: Batches) -> None:
    recorder = Recorder.open(None, replace(header, seed=9))
    recorder.append(batches()[0])
    recorder.append(batches(seed=8)[0])
    other = recorder.finish()
    archive = Archive.load(path)
    merged = archive.merge(other)
    new = {tuple(genome) for genome in other.genomes.tolist()} - {tuple(genome) for genome in archive.genomes.tolist()}
    assert len(merged) == len(archive) + len(new)
    assert merged.evaluations.generation[-1] > archive.evaluations.generation.max()
    saved = merged.save(path.with_name("merged.h5"))
    assert np.array_equal(Archive.load(path.with_name("merged.h5")).genomes, saved.genomes)
    foreign = Recorder.open(None, replace(header, fingerprint="other")).finish()
    with pytest.raises(ArchiveError, match="different problems cannot be merged"):
        archive.merge(foreign)


def test_validated_networks_are_kept_by_a_resumed_search(path: Path, header: Header, batches: Batches) -> None:
    archive = Archive.load(path)
    first = Validated(id="net0", genome=(0, 1, 2, 3), before={"accuracy": 0.5}, after={"accuracy": 0.75})
    better = replace(first, after={"accuracy": 0.8}, files={"onnx": "networks/net0/model.onnx"})
    changed = archive.add_validation(first, replace(first, id="net1")).add_validation(better)
    assert [network.id for network in changed.validated] == ["net1", "net0"]
    assert Archive.load(path).validated[1] == better
    with Recorder.open(path, replace(header, settings={"evaluations": 70, "population": 10})) as recorder:
        for batch in batches(7):
            recorder.append(batch)
        recorder.finish()
    assert len(Archive.load(path)) == 70
    assert Archive.load(path).validated[1] == better
    with pytest.raises(ArchiveError, match="was changed since it was loaded: load it again"):
        archive.add_validation(first)
    with pytest.raises(ArchiveError, match="'net0' has 2 blocks, the archive has 4"):
        archive.add_validation(replace(first, genome=(1, 2)))


def test_exports_hold_the_front(path: Path) -> None:
    archive = Archive.load(path)
    frame = archive.front.to_dataframe()
    assert list(frame.columns[:5]) == ["id", "evaluation", "score", "speed", "latency_ms <= 2"]
    assert frame["block0"][0] == f"choice{archive.front.genomes[0, 0]}"
    assert len(archive.front.to_csv().splitlines()) == len(archive.front) + 1
    networks = json.loads(archive.front.to_json(path.with_name("front.json")))
    assert json.loads(path.with_name("front.json").read_text(encoding="utf-8")) == networks
    assert networks[0]["genome"] == archive.front.genomes[0].tolist()
    assert networks[0]["objectives"]["speed"] == archive.front.objectives[0, 1]
    archive.to_csv(path.with_name("all.csv"))
    assert len(path.with_name("all.csv").read_text(encoding="utf-8").splitlines()) == 61


def test_the_problem_is_rebuilt_from_the_file(tmp_path: Path, header: Header, tables: Tables) -> None:
    problem = TableProblem(tables, objectives=["score", "latency_ms"], constraints=["speed <= 2.5"])
    genomes = problem.space.sample(np.random.default_rng(0), 40)
    with Recorder.open(
        tmp_path / "a.h5",
        replace(
            header,
            problem=problem.describe(),
            objectives=problem.objectives,
            constraints=problem.constraints,
            fingerprint=problem.fingerprint,
        ),
    ) as recorder:
        recorder.append(Evaluations.ok(genomes, *problem.evaluate(genomes)))
        recorder.finish()
    archive = Archive.load(tmp_path / "a.h5")
    assert archive.problem.fingerprint == problem.fingerprint
    assert np.array_equal(archive.problem.evaluate(archive.genomes)[0], archive.evaluations.objectives)
    assert 0 < archive.certificate.share <= 1


@pytest.mark.parametrize(
    "description",
    [
        {"objectives": ["this:that"]},
        {"objectives": ["score"], "constraints": ["antigravity:fly"]},
        {"objectives": ["score"], "functions": {"antigravity:fly": {}}},
    ],
)
def test_a_file_runs_no_function(header: Header, description: dict[str, object]) -> None:
    archive = Recorder.open(None, replace(header, problem=description)).finish()
    with pytest.raises(ArchiveError, match=r"has functions, which are not run.*trusted_problem\(\)"):
        _ = archive.problem


def test_evaluations_are_of_the_file_that_was_opened(path: Path, header: Header, batches: Batches) -> None:
    # Small archives and large ones alike keep the file they opened, whatever takes its place.
    archive = Archive.load(path)
    with Recorder.open(path, header, resume=False) as recorder:
        recorder.append(batches(seed=4)[0])
        recorder.finish()
    assert len(Archive.load(path)) == 10
    assert len(archive.genomes) == 60


def test_wrong_bytes_in_the_evaluations_are_found(path: Path) -> None:
    content = bytearray(path.read_bytes())
    seal = Seal.unpack(bytes(content[:SEAL_BYTES]))
    assert seal is not None
    content[seal.extents[1][0]] ^= 1
    path.write_bytes(content)
    archive = Archive.load(path)
    assert len(archive.front) > 0
    with pytest.raises(ArchiveError, match="the checksum of evaluations/objectives does not fit"):
        _ = archive.genomes


def _replace_dataset(name: str, **made: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **made)

    return change


def _link(file: h5py.File) -> None:
    del file["front"]
    file["front"] = h5py.ExternalLink("other.h5", "/front")


def _attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_attribute("schema", 99), "has the schema 99, this version reads 2: update evo_qnas"),
        (_attribute("schema", 1), "has the schema 1 of an earlier version, this one reads 2: search anew"),
        (_attribute("format", "evo_qnas.tables"), "is no archive: its format is 'evo_qnas.tables'"),
        (_attribute("settings", "{"), "is a damaged archive"),
        (_link, "/front is a link, which is not followed"),
        (_replace_dataset("front/row", shape=(1 << 40,), dtype="i8", chunks=(4096,)), "not stored in one piece"),
        (_replace_dataset("front/row", data=["a"]), "which no archive has"),
        (_replace_dataset("front/genome", shape=(2, 2), dtype=h5py.vlen_dtype(np.int32)), "which no archive has"),
        (_replace_dataset("evaluations/state", data=np.zeros(3, np.uint8)), "shapes that do not fit"),
    ],
)
def test_forged_files_are_refused(path: Path, change: Callable[[h5py.File], None], text: str) -> None:
    reseal(path, change)
    with pytest.raises(ArchiveError, match=text) as caught:
        Archive.load(path)
    assert "\n" not in str(caught.value)


def test_files_of_another_kind_are_refused(tmp_path: Path, tables: Tables) -> None:
    with pytest.raises(ArchiveError, match="there is no archive"):
        Archive.load(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("a text")
    with pytest.raises(ArchiveError, match="does not begin as one"):
        Archive.load(tmp_path / "text.h5")
    (tmp_path / "empty.h5").touch()
    with pytest.raises(ArchiveError, match="does not begin as one"):
        Archive.load(tmp_path / "empty.h5")
    with h5py.File(tmp_path / "plain.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(ArchiveError, match="an HDF5 file of another kind"):
        Archive.load(tmp_path / "plain.h5")
    tables.save(tmp_path / "tables.h5")
    with pytest.raises(ArchiveError, match=r"tables\.h5 is no archive"):
        Archive.load(tmp_path / "tables.h5")
    with pytest.raises(ArchiveError, match="cannot be opened: Is a directory"):
        Archive.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, header: Header) -> None:
    # A file where a folder is needed refuses every user, root included.
    (tmp_path / "file").touch()
    with pytest.raises(ArchiveError, match=r"a\.h5 cannot be written: .*: choose another path"):
        Recorder.open(tmp_path / "file" / "a.h5", header)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_leaves_the_last_good_file(
    path: Path, header: Header, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = path.read_bytes()
    grown = replace(header, settings={"evaluations": 90, "population": 10})
    recorder = Recorder.open(path, grown)
    with open("/dev/full", "wb", buffering=0) as full:
        journal = recorder._journal
        assert journal is not None
        monkeypatch.setattr(journal, "_descriptor", full.fileno())
        for batch in batches(7):
            recorder.append(batch)
        with pytest.raises(
            ArchiveError, match="cannot be written: No space left on device; the last good file is in place"
        ):
            recorder.flush()
        monkeypatch.undo()
    assert path.read_bytes() == good
    recorder.close()
    assert len(Archive.load(path)) == 70


def test_an_archive_whose_file_was_deleted_is_not_current(path: Path) -> None:
    stored = open_stored(path)
    assert stored.is_current()
    path.unlink()
    assert not stored.is_current()


def test_rounding_adds_no_point_to_the_front() -> None:
    """Ten blocks of 0.1 or 0.3: 11 sizes there are, whatever the order in which they are added."""
    rng = np.random.default_rng(0)
    genomes = (rng.random((2000, 10)) < 0.5).astype(np.int64)
    genomes[:11] = np.tri(11, 10, -1)
    sizes = np.array([sum(row) for row in rng.permuted(np.where(genomes == 1, 0.3, 0.1), axis=1)])
    scores = (10 - genomes.sum(axis=1)).astype(np.float64)
    assert len(np.unique(sizes)) > 11
    header = Header(
        blocks=tuple("abcdefghij"),
        objectives=(ObjectiveInfo(name="score"), ObjectiveInfo(name="size")),
        algorithm="random",
    )
    with Recorder.open(None, header) as recorder:
        recorder.append(Evaluations.ok(genomes, np.column_stack([scores, sizes]), np.zeros((2000, 0))))
        archive = recorder.finish()
    assert len(archive.front) == 11


@pytest.mark.parametrize("stored", [True, False])
def test_archives_are_copied_and_sent_to_other_processes(path: Path, stored: bool) -> None:
    archive = Archive.load(path).add_validation(Validated(id="net0", genome=(0, 1, 2, 3), after={"accuracy": 0.75}))
    archive = Archive.load(path) if stored else archive
    for other in (pickle.loads(pickle.dumps(archive)), copy.copy(archive), copy.deepcopy(archive)):
        assert other.path == path
        np.testing.assert_array_equal(other.genomes, archive.genomes)
        np.testing.assert_array_equal(other.front.rows, archive.front.rows)
        np.testing.assert_array_equal(other.history.hypervolume, archive.history.hypervolume)
        assert other.front.to_csv() == archive.front.to_csv()
        assert (other.header.settings, other.extras, other.validated) == (
            archive.header.settings,
            archive.extras,
            archive.validated,
        )
        assert (other.versions, other.created_by) == (archive.versions, archive.created_by)
        assert other.save(path.with_name("again.h5")).front.to_csv() == archive.front.to_csv()
        with pytest.raises(TypeError, match=r"does not support item assignment"):
            other.header.settings["evaluations"] = 1  # type: ignore[index]
    front = pickle.loads(pickle.dumps(archive.front))
    assert front.to_csv() == copy.deepcopy(archive.front).to_csv() == archive.front.to_csv()


def _search_of(problem: TableProblem) -> Archive:
    return search(problem, evaluations=50, progress=False)


def test_a_pool_gives_its_archives_back(tables: Tables) -> None:
    problem = TableProblem(tables, objectives=["score", "speed"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (found,) = pool.map(_search_of, [problem])
    assert found.front.to_csv() == _search_of(problem).front.to_csv()
