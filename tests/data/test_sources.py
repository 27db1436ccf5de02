"""Our data sources under their contract, and one of another package in this file alone."""

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evo_qnas import registry
from evo_qnas.data import DATA_SOURCES, DATASETS, DataCard, DataSource, Images, Splits, load_splits
from evo_qnas.errors import DataError
from evo_qnas.networks.testing.data_sources import DataSourceContract
from tests.data.conftest import write_image, write_label


class Tones(DataSource):
    """Sine waves as 1 x 1 x length images; the label is the frequency, a float."""

    about = "sine waves of data.options.length samples"
    keys = frozenset({"split_seed", "options"})

    def load(self, card: DataCard, *, cache: Path | None, jobs: int) -> Splits:
        unknown = set(card.options) - {"length"}
        if unknown:
            raise DataError(f"data.options.{min(unknown)}: tones have the option length alone")
        length = int(card.options.get("length", 32))
        parts = [self._part(length, count, [card.split_seed, number]) for number, count in enumerate((12, 6, 6))]
        return Splits(train=parts[0], search=parts[1], test=parts[2], classes=())

    def _part(self, length: int, count: int, seed: Any) -> Images:
        frequency = torch.from_numpy(np.random.default_rng(seed).uniform(0.05, 0.45, count).astype(np.float32))
        waves = torch.sin(2 * torch.pi * frequency[:, None] * torch.arange(length))
        return Images(pixels=waves[:, None, None, :], labels=frequency)


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if a package had `[project.entry-points."evo_qnas.data_sources"]`."""
    entry = EntryPoint(name="tones", value=f"{__name__}:Tones", group="evo_qnas.data_sources")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == entry.group else [])
    registry._entries.cache_clear()
    yield
    registry._entries.cache_clear()
    DATA_SOURCES._made.pop("tones", None)


class TestTones(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        return DataCard(name="tones", split_seed=3, options={"length": 16})


class TestDigits(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        return DataCard(name="digits", search_share=0.3)


class TestArrays(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        rng = np.random.default_rng(0)
        for part in ("train", "search", "test"):
            pixels = rng.normal(size=(4, 1, 6, 6)).astype(np.float32)
            np.savez(folder / f"{part}.npz", pixels=pixels, labels=np.arange(4))
        return DataCard(name="arrays", folder=folder)


class TestStreets(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        return DataCard.model_validate(
            {"name": "streets", "height": 16, "width": 32, "images": {"train": 3, "search": 2, "test": 2}}
        )


class TestFolder(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        rng = np.random.default_rng(0)
        for number in range(8):
            write_image(folder / "images" / f"{number}.png", rng)
            write_label(folder / "labels" / f"{number}.png", rng.integers(0, 2, (12, 16)))
        return DataCard.model_validate({"name": "folder", "folder": folder, "classes": ["a", "b"]})


def test_all_sources_are_listed_ours_first() -> None:
    names = ("digits", "arrays", "camvid", "cityscapes", "streets", "folder", "image_folder", "tones")
    assert tuple(DATASETS) == names
    assert len(DATASETS) == len(names)
    assert DATASETS["tones"] == Tones.about
    assert "mnist" not in DATASETS
    with pytest.raises(DataError, match=r"there is no data set 'tone'; the nearest are: tones"):
        load_splits(DataCard(name="tone"))


def test_float_labels_stay_what_they_are() -> None:
    splits = load_splits(DataCard(name="tones"))
    labels = splits.train.take(torch.tensor([1, 0]))[1]
    assert labels.dtype is torch.float32
    assert labels.tolist() == splits.train.labels[[1, 0]].tolist()
    assert 0.05 < float(labels.min()) < float(labels.max()) < 0.45
    for part, chosen in splits.train.parts(5):
        assert part.shape[1:] == (1, 1, 32)
        assert chosen.dtype is torch.float32
    halves = Images(pixels=torch.zeros(2, 1, 1, 1), labels=torch.tensor([0.7, 1.2], dtype=torch.float64))
    assert halves.take(slice(0, 1))[1].tolist() == [0.7]
    whole = Images(pixels=torch.zeros(2, 1, 1, 1), labels=torch.tensor([3, 4], dtype=torch.uint8))
    assert whole.take(slice(0, 2))[1].dtype is torch.int64


def test_options_belong_to_sources_of_other_packages() -> None:
    with pytest.raises(DataError, match=r"data.options.lenght: tones have the option length alone"):
        load_splits(DataCard(name="tones", options={"lenght": 3}))
    with pytest.raises(DataError, match=r"data.options says nothing about 'digits': remove it from the card"):
        load_splits(DataCard(name="digits", options={"length": 3}))
