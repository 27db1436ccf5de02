from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evo_qnas.data import IGNORE, DataCard, class_frequencies, load_splits
from evo_qnas.data.camvid import CLASSES
from evo_qnas.errors import DataError
from tests.data.conftest import write_image, write_label


def test_the_real_images(real_data: Path) -> None:
    """Counts and size are those of the folder's own description; shares of pixels were counted with Pillow alone."""
    splits = load_splits(DataCard(name="camvid", folder=real_data / "camvid"))
    assert [len(part) for part in (splits.train, splits.search, splits.test)] == [367, 101, 233]
    assert splits.classes == CLASSES
    assert splits.test.pixels.shape == (233, 3, 180, 240)
    counted = [0.1744, 0.2419, 0.0102, 0.3310, 0.0467, 0.1011, 0.0122, 0.0118, 0.0610, 0.0067, 0.0030]
    np.testing.assert_allclose(class_frequencies(splits.train, 11), counted, atol=2e-4)
    for images in (splits.train, splits.search, splits.test):
        assert set(torch.unique(images.labels).tolist()) <= {*range(11), IGNORE}
    first = sorted((real_data / "camvid" / "train").iterdir())[0]
    assert np.array_equal(splits.train.pixels[0].permute(1, 2, 0).numpy(), np.asarray(Image.open(first)))


def test_parts_and_labels_of_a_miniature(camvid: Path) -> None:
    splits = load_splits(DataCard(name="camvid", folder=camvid))
    assert [len(part) for part in (splits.train, splits.search, splits.test)] == [4, 2, 3]
    values = np.asarray(Image.open(camvid / "valannot" / "val_1.png"))
    assert np.array_equal(splits.search.labels[1].numpy(), np.where(values == 11, IGNORE, values))
    pixels = np.asarray(Image.open(camvid / "test" / "test_2.png"))
    assert np.array_equal(splits.test.pixels[2].numpy(), pixels.transpose(2, 0, 1))
    shown, labels = splits.test.take(slice(2, 3))
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    np.testing.assert_allclose(shown[0].numpy(), ((pixels / 255 - mean) / std).transpose(2, 0, 1), atol=1e-5)
    assert labels.dtype == torch.int64


def test_the_folder_may_come_from_the_environment(camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVO_QNAS_DATA", str(camvid.parent))
    assert len(load_splits(DataCard(name="camvid")).train) == 4
    with pytest.raises(DataError, match=r"data folder .*nowhere does not exist"):  # no other one stands in for it
        load_splits(DataCard(name="camvid", folder=camvid.parent / "nowhere"))


RNG = np.random.default_rng(2)
IMAGE, LABEL = Path("train", "train_1.png"), Path("trainannot", "train_1.png")


def _resized(folder: Path) -> None:
    write_image(folder / IMAGE, RNG, (10, 20))
    write_label(folder / LABEL, np.zeros((10, 20)))


def _emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


SPOIL: dict[str, Callable[[Path], object]] = {
    "no folder": lambda f: (f / "trainannot").rename(f / "labels"),
    "no images": lambda f: _emptied(f / "val"),
    "no label": lambda f: (f / LABEL).unlink(),
    "no image": lambda f: (f / IMAGE).unlink(),
    "broken image": lambda f: (f / IMAGE).write_bytes((f / IMAGE).read_bytes()[:300]),
    "no image at all": lambda f: (f / LABEL).write_text("no image"),
    "sizes differ": lambda f: write_image(f / IMAGE, RNG, (12, 20)),
    "other size": _resized,
    "unknown value": lambda f: write_label(f / LABEL, np.full((12, 16), 17)),
    "colours": lambda f: write_label(f / LABEL, np.zeros((12, 16, 3))),
    "deep": lambda f: Image.fromarray(np.zeros((12, 16), dtype=np.uint16)).save(f / IMAGE),
    "twice": lambda f: write_image((f / IMAGE).with_suffix(".jpg"), RNG),
}

BAD = {
    "no folder": r"there is no folder .*trainannot",
    "no images": r"there are no images in .*val: files \.png, \.jpg",
    "no label": r"image .*train_1\.png has no label image of that name in .*trainannot: add it, or move the image away",
    "no image": r"label image .*trainannot/train_1\.png has no image of that name in .*train: add it",
    "broken image": r"train/train_1\.png cannot be read as an image: .+",
    "no image at all": r"trainannot/train_1\.png cannot be read as an image: cannot identify image file",
    "sizes differ": r"image .*train_1\.png is 20 x 12, its label train_1\.png 16 x 12",
    "other size": r"train_1\.png is 20 x 10, others are 16 x 12: set data\.width and data\.height",
    "unknown value": r"train_1\.png has the value 17, which is none of the 11 classes .* data\.classes or data\.ignore",
    "colours": r"label image .*train_1\.png has the mode RGB, one value a pixel is wanted",
    "deep": r"image .*train_1\.png has the mode I;16: convert it to 8 bits a channel",
    "twice": r"train_1\.jpg and train_1\.png would be one image",
}


@pytest.mark.parametrize("case", BAD)
def test_odd_files_get_one_sentence(camvid: Path, case: str) -> None:
    SPOIL[case](camvid)
    with pytest.raises(DataError, match=BAD[case]) as raised:
        load_splits(DataCard(name="camvid", folder=camvid))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


def test_other_sizes_are_fine_where_a_size_is_set(camvid: Path) -> None:
    _resized(camvid)
    splits = load_splits(DataCard(name="camvid", folder=camvid, height=8, width=24))
    assert splits.train.pixels.shape == (4, 3, 8, 24)
    assert splits.train.labels.shape == (4, 8, 24)


def test_a_missing_folder_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data folder .*nowhere does not exist: set data\.folder to .*trainannot/"):
        load_splits(DataCard(name="camvid", folder=tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"no data folder is given: set data\.folder"):
        load_splits(DataCard(name="camvid"))


def test_keys_of_other_data_sets_are_refused(camvid: Path) -> None:
    with pytest.raises(DataError, match=r"data\.height says nothing about 'digits': remove it"):
        load_splits(DataCard(name="digits", height=8, width=8))
    with pytest.raises(DataError, match=r"data\.classes says nothing about 'camvid'"):
        load_splits(DataCard(name="camvid", folder=camvid, classes=["road"]))  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"there is no data set 'camvit'; the nearest are: camvid"):
        load_splits(DataCard(name="camvit"))
