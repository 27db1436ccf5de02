"""Examples from whatever a user hands over."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, SubsetRandomSampler, TensorDataset

from evo_qnas.data.live import Reading, drawn_apart, examples_of
from evo_qnas.errors import DataError

INPUTS = torch.randn(23, 3, 4, generator=torch.Generator().manual_seed(0))
TARGETS = torch.rand(23, generator=torch.Generator().manual_seed(1))


class Noisy(Dataset[Any]):
    """Items that are changed at random, by three libraries."""

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, index: int) -> Any:
        noise = torch.randn(3, 4) + float(np.random.rand()) + random.random()  # noqa: NPY002
        return INPUTS[index] + noise, float(TARGETS[index])


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(zip(INPUTS, TARGETS, strict=True))


class Rows:
    """Rows as dicts, as data sets of Hugging Face give them."""

    _fingerprint = "0123"

    def __len__(self) -> int:
        return len(INPUTS)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": INPUTS[index].numpy(), "y": float(TARGETS[index])}


class Batches:
    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(INPUTS), 5):
            yield INPUTS[start : start + 5], TARGETS[start : start + 5]


def opened(data: Any, folder: Path, **settings: Any) -> Any:
    return examples_of(data, Reading(**settings), folder=folder)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (INPUTS, TARGETS),
        lambda: (INPUTS.numpy(), TARGETS.numpy()),
        lambda: (INPUTS.double().numpy(), TARGETS.numpy()),
        lambda: TensorDataset(INPUTS, TARGETS),
        lambda: Subset(TensorDataset(INPUTS, TARGETS), list(range(23))),
        lambda: list(zip(INPUTS, TARGETS, strict=True)),
        lambda: DataLoader(TensorDataset(INPUTS, TARGETS), batch_size=4, shuffle=True),
        lambda: DataLoader(Stream(), batch_size=6),
        Batches,
    ],
    ids=["tensors", "arrays", "doubles", "dataset", "subset", "list", "loader", "stream", "batches"],
)
def test_everything_gives_the_same_examples(make: Any, tmp_path: Path) -> None:
    examples = opened(make(), tmp_path)
    assert len(examples) == 23
    inputs, targets = examples.take(torch.tensor([7, 2]))
    assert torch.equal(inputs, INPUTS[[7, 2]])
    assert torch.equal(targets, TARGETS[[7, 2]])
    assert inputs.dtype is torch.float32
    parts = list(examples.parts(10))
    assert [len(part) for part, _ in parts] == [10, 10, 3]
    assert torch.equal(torch.cat([part for part, _ in parts]), INPUTS)
    assert torch.equal(examples.sample, INPUTS[:1])
    assert opened(make(), tmp_path).content == examples.content


def test_rows_with_names_need_to_be_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"batches are dicts with the keys 'x', 'y': say what the model is called with"):
        opened(Rows(), tmp_path).take(slice(0, 2))
    examples = opened(Rows(), tmp_path, inputs=lambda batch: batch["x"], targets=lambda batch: batch["y"])
    inputs, targets = examples.take(slice(3, 5))
    assert torch.equal(inputs, INPUTS[3:5])
    assert targets.dtype is torch.float64
    assert torch.equal(targets.float(), TARGETS[3:5])


@pytest.mark.parametrize("workers", [0, 2])
def test_what_items_draw_depends_on_their_index_alone(workers: int, tmp_path: Path) -> None:
    torch.manual_seed(workers)
    examples = opened(DataLoader(Noisy(), num_workers=workers), tmp_path)
    before = torch.rand(1)
    torch.manual_seed(workers)
    whole = torch.cat([inputs for inputs, _ in examples.parts(6)])
    assert torch.equal(torch.rand(1), before)
    assert torch.equal(whole[[4, 20]], examples.take([4, 20])[0])
    assert not torch.equal(whole[4], INPUTS[4])
    assert not torch.equal(whole[4] - INPUTS[4], whole[20] - INPUTS[20])
    again = opened(Noisy(), tmp_path)
    assert torch.equal(again.take(slice(0, 23))[0], whole)


def test_a_sampler_of_some_indices_is_kept(tmp_path: Path) -> None:
    loader = DataLoader(TensorDataset(INPUTS, TARGETS), sampler=SubsetRandomSampler([9, 1, 5]))
    examples = opened(loader, tmp_path)
    assert torch.equal(examples.take(slice(0, 3))[0], INPUTS[[1, 5, 9]])


def test_parts_that_are_drawn_share_nothing(tmp_path: Path) -> None:
    search, test, train = drawn_apart(opened((INPUTS, TARGETS), tmp_path), [0.2, 0.3], seed=1)
    assert [len(part) for part in (search, test, train)] == [5, 7, 11]
    found = torch.cat([part.take(slice(0, None))[1] for part in (search, test, train)])
    assert torch.equal(found.sort().values, TARGETS.sort().values)
    with pytest.raises(DataError, match=r"2 examples are too few to set 0.2 of them apart"):
        drawn_apart(opened((INPUTS[:2], TARGETS[:2]), tmp_path), [0.2], seed=0)


def test_a_stream_is_kept_in_files_once_and_within_its_budget(tmp_path: Path) -> None:
    first = opened(Batches(), tmp_path)
    (spool,) = tmp_path.glob("spool-*")
    stamp = (spool / "0.bin").stat().st_mtime_ns
    again = opened(Batches(), tmp_path)
    assert (spool / "0.bin").stat().st_mtime_ns == stamp
    assert first.content == again.content
    with pytest.raises(DataError, match=r"the stream takes more than spool_gib = 9\.\d+e-08 on disk: raise it"):
        examples_of(Batches(), Reading(), folder=tmp_path / "b", budget_bytes=100)


def test_content_changes_with_one_number(tmp_path: Path) -> None:
    other = TARGETS.clone()
    other[11] += 1e-6
    contents = {opened((INPUTS, targets), tmp_path).content for targets in (TARGETS, other)}
    contents |= {opened(list(zip(INPUTS, targets, strict=True)), tmp_path).content for targets in (TARGETS, other)}
    assert len(contents) == 4


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (iter([1, 2]), r"list_iterator can be read once only"),
        (3.0, r"float is no data: give a Dataset"),
        ((INPUTS, TARGETS[:5]), r"arrays must have one number of examples, got \[5, 23\]"),
        ([], r"the data have no examples"),
    ],
)
def test_what_is_no_data(data: Any, match: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        opened(data, tmp_path)


def test_mapped_arrays_stay_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", INPUTS.numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    examples = opened((mapped, TARGETS.numpy()), tmp_path)
    assert torch.equal(examples.take(slice(0, 23))[0], INPUTS)
