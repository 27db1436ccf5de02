"""Archives that other programs write or annotate; labels of dimensions; columns of the front's CSV."""

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from evo_qnas.archive import Archive
from evo_qnas.errors import ArchiveError
from evo_qnas.problem import TableProblem
from evo_qnas.search import search
from evo_qnas.spaces import network_id
from evo_qnas.tables import Tables
from evo_qnas.tables.generate import generate_tables

TABLES = generate_tables(4, operators=2, weight_bits=(2, 4, 8), activation_bits=(8,))


@pytest.fixture(autouse=True)
def _children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", str(Path(__file__).resolve().parents[2]) + os.pathsep + os.environ.get("PYTHONPATH", "")
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    problem = TableProblem(TABLES, ["score", "size_bytes"], constraints=["latency_ms <= 6"])
    search(problem, evaluations=60, path=tmp_path / "a.h5", progress=False)
    return tmp_path / "a.h5"


def test_annotations_leave_an_archive_whole(path: Path) -> None:
    before = Archive.load(path)
    with h5py.File(path, "r+") as file:
        file.attrs["comment"] = "looked at by somebody else"
        file["evaluations"].attrs["units"] = [1, 2, 3]
        file["notes/table"] = np.arange(1000.0)
    after = Archive.load(path)
    np.testing.assert_array_equal(after.genomes, before.genomes)
    np.testing.assert_array_equal(after.front.objectives, before.front.objectives)
    assert after.problem.fingerprint == before.problem.fingerprint


@pytest.mark.parametrize("what", ["objective", "attribute", "table"])
def test_changed_contents_are_refused(path: Path, what: str) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["comment"] = "and more"
        if what == "objective":
            file["evaluations/objectives"][0, 0] += 1.0
        elif what == "attribute":
            file.attrs["algorithm"] = "another"
        else:
            file["tables/values"][0, 0] += 1.0
    with pytest.raises(ArchiveError, match=r"is a damaged archive: its checksum does not fit|it has \d+ bytes"):
        Archive.load(path)


def test_an_archive_of_plain_h5py(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    genomes = rng.integers(0, 5, (40, 3))
    values = np.stack([genomes.sum(axis=1), genomes[:, 0]], axis=1).astype(np.float32)
    values[7] = np.nan
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "evo_qnas.archive"
        file["evaluations/genome"] = genomes.astype(np.uint16)
        file.create_dataset("evaluations/objectives", data=values, chunks=(8, 2), compression="gzip")
        file["evaluations/objectives"].attrs["name"] = ["error", "accuracy"]
        file["evaluations/objectives"].attrs["maximize"] = [False, True]
        file["evaluations/constraints"] = (genomes[:, 2] - 3.0)[:, None]
        file["evaluations/constraints"].attrs["name"] = ["memory"]
    archive = Archive.load(path)
    assert [info.name for info in archive.header.objectives] == ["error", "accuracy"]
    assert archive.header.objectives[1].maximize
    assert archive.evaluations.state[7] == 1
    front = archive.front
    assert (front.genomes[:, 2] <= 3).all()
    feasible = np.flatnonzero((genomes[:, 2] <= 3) & np.isfinite(values[:, 0]))
    best = min(values[feasible, 0])
    assert front.objectives[0, 0] == best
    sealed = archive.save(tmp_path / "sealed.h5")
    np.testing.assert_array_equal(Archive.load(sealed.path or "").front.rows, front.rows)


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    path = tmp_path / "mine.h5"
    for wrong, match in (
        ({"evaluations/genome": np.zeros((3, 2), int)}, r"/evaluations/objectives is missing"),
        (
            {"evaluations/genome": np.zeros((3, 2), int), "evaluations/objectives": np.zeros((4, 1))},
            r"the parts of its evaluations have different lengths",
        ),
        (
            {"evaluations/genome": np.full((3, 2), -1), "evaluations/objectives": np.zeros((3, 1))},
            r"its genomes are no whole numbers from 0",
        ),
    ):
        with h5py.File(path, "w") as file:
            file.attrs["format"] = "evo_qnas.archive"
            for name, data in wrong.items():
                file[name] = data
        with pytest.raises(ArchiveError, match=match):
            Archive.load(path)
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "something else"
    with pytest.raises(ArchiveError, match=r"is no archive: it is an HDF5 file of another kind"):
        Archive.load(path)


@pytest.mark.parametrize(
    ("genomes", "objectives", "match"),
    [
        (np.zeros((3, 2), int), np.zeros(3), r"objectives needs 2 dimensions of numbers, got float64 \(3,\)"),
        (np.full((3, 2), b"a"), np.zeros((3, 1)), r"genome needs 2 dimensions of numbers, got \|S1 \(3, 2\)"),
    ],
    ids=["one dimension", "texts"],
)
def test_parts_that_are_no_matrices_of_numbers_are_refused(
    tmp_path: Path, genomes: np.ndarray, objectives: np.ndarray, match: str
) -> None:
    with h5py.File(tmp_path / "mine.h5", "w") as file:
        file.attrs["format"] = "evo_qnas.archive"
        file["evaluations/genome"], file["evaluations/objectives"] = genomes, objectives
    with pytest.raises(ArchiveError, match=match):
        Archive.load(tmp_path / "mine.h5")


def test_dimensions_are_labelled(path: Path) -> None:
    with h5py.File(path) as file:
        assert [d.label for d in file["evaluations/objectives"].dims] == ["network", "objective"]
        assert [d.label for d in file["front/genome"].dims] == ["network", "block"]
        assert [d.label for d in file["evaluations/seconds"].dims] == ["network"]


def test_the_front_shows_the_limited_column_itself(path: Path) -> None:
    archive = Archive.load(path)
    frame = archive.front.to_dataframe()
    np.testing.assert_allclose(frame["latency_ms"], TABLES.total("latency_ms", archive.front.genomes))
    np.testing.assert_allclose(frame["latency_ms <= 6"], frame["latency_ms"] - 6, atol=1e-12)
    assert (frame["latency_ms"] <= 6).all()


def test_a_compressed_archive_is_the_same_archive(path: Path, tmp_path: Path) -> None:
    before = Archive.load(path)
    before.to_hdf5(tmp_path / "shared.h5")
    with h5py.File(tmp_path / "shared.h5") as file:
        for name in ("genome", "objectives", "constraints", "seconds"):
            assert (file["evaluations"][name].compression, file["evaluations"][name].shuffle) == ("gzip", True)
    after = Archive.load(tmp_path / "shared.h5")
    for name in ("genomes", "objectives", "constraints", "generation", "seconds", "state"):
        np.testing.assert_array_equal(getattr(after.evaluations, name), getattr(before.evaluations, name))
    assert (after.header.objectives, after.header.constraints) == (before.header.objectives, before.header.constraints)
    assert (after.header.seed, after.header.algorithm) == (before.header.seed, before.header.algorithm)
    assert after.problem.fingerprint == before.problem.fingerprint
    np.testing.assert_array_equal(after.front.rows, before.front.rows)


def test_a_large_archive_is_smaller_compressed(tmp_path: Path) -> None:
    problem = TableProblem(TABLES, ["score", "size_bytes"])
    large = search(problem, algorithm="random", evaluations=1_000, path=tmp_path / "a.h5", progress=False)
    large.to_hdf5(tmp_path / "b.h5")
    assert (tmp_path / "b.h5").stat().st_size < 0.8 * (tmp_path / "a.h5").stat().st_size


def test_chunks_of_a_compressed_archive_fit_into_the_cache_of_hdf5(tmp_path: Path) -> None:
    tables = generate_tables(8, operators=2, weight_bits=(2, 4, 8), activation_bits=(8,))
    problem = TableProblem(tables, ["score", "size_bytes"])
    rng = np.random.default_rng(0)
    genomes, objectives = problem.space.sample(rng, 70_000), rng.random((70_000, 2))
    Archive.from_evaluations(problem, genomes, objectives).to_hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        for data in file["evaluations"].values():
            if data.size:
                chunk = data.dtype.itemsize * int(np.prod(data.chunks))
                assert min(data.nbytes, 1 << 18) <= chunk <= 1 << 19, data.name


def test_archives_without_limits_or_networks_are_compressed(tmp_path: Path) -> None:
    problem = TableProblem(TABLES, ["score", "size_bytes"])
    search(problem, evaluations=20, progress=False).to_hdf5(tmp_path / "a.h5")
    assert Archive.load(tmp_path / "a.h5").header.constraints == ()
    Archive.from_evaluations(problem, np.zeros((0, 4), int), np.zeros((0, 2))).to_hdf5(tmp_path / "b.h5")
    assert len(Archive.load(tmp_path / "b.h5")) == 0


@pytest.mark.parametrize("text", ["[1]", "{", "3"])
def test_a_problem_that_is_none_is_refused(path: Path, tmp_path: Path, text: str) -> None:
    Archive.load(path).to_hdf5(tmp_path / "shared.h5")
    with h5py.File(tmp_path / "shared.h5", "r+") as file:
        del file["problem"]
        file["problem"] = text
    with pytest.raises(ArchiveError, match=r"shared.h5 is no archive that can be read: "):
        Archive.load(tmp_path / "shared.h5")


def test_networks_of_a_front_have_the_ids_of_validated_ones(path: Path) -> None:
    front = Archive.load(path).front
    assert front.to_dataframe()["id"].tolist() == front.ids == [network_id(row) for row in front.genomes.tolist()]
    assert [entry["id"] for entry in json.loads(front.to_json())] == front.ids
    assert front.to_csv().splitlines()[1].startswith(f"{front.ids[0]},{front.rows[0]},")
    assert len(set(front.ids)) == len(front)


def test_an_objective_may_be_called_id(tmp_path: Path) -> None:
    tables = Tables.from_arrays({"id": [np.array([3.0, 1.0, 2.0])], "evaluation": [np.array([0.5, 0.7, 0.6])]})
    problem = TableProblem(tables, ["id", "evaluation"])
    front = search(problem, algorithm="random", evaluations=3, progress=False).front
    again = Archive.from_dataframe(problem, front.to_dataframe())
    np.testing.assert_array_equal(again.front.objectives, front.objectives)
