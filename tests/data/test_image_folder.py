"""Images in folders named by class, or listed with their classes."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from evo_qnas.data import DataCard, image_folder, load_splits
from evo_qnas.data.caching import make_arrays
from evo_qnas.errors import DataError
from evo_qnas.networks.testing import DataSourceContract

COLOURS = {"blue": (40, 40, 250), "red": (250, 40, 40)}


def drawn(folder: Path, label: str, count: int, *, size: tuple[int, int] = (9, 8), first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(first, first + count):
        pixels = np.full((*size, 3), COLOURS[label], dtype=np.uint8) - np.uint8(index)
        Image.fromarray(pixels).save(folder / f"{label}{index}.png")


class TestImageFolder(DataSourceContract):
    def make_card(self, folder: Path) -> DataCard:
        for label in COLOURS:
            if not (folder / label).is_dir():
                drawn(folder / label, label, 8)
        return DataCard(name="image_folder", folder=folder, height=8, width=8)


def test_what_workers_are_sent_does_not_grow_with_the_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def kept(make: Any, sources: Any, *rest: Any, **named: Any) -> Any:
        sent.append(len(pickle.dumps(make)))
        return make_arrays(make, sources, *rest, **named)

    monkeypatch.setattr(image_folder, "make_arrays", kept)
    for part, count in (("train", 40), ("val", 2), ("test", 2)):
        for label in COLOURS:
            drawn(tmp_path / part / label, label, count)
    load_splits(DataCard(name="image_folder", folder=tmp_path))
    assert len(sent) == 3
    assert len(set(sent)) == 1


def test_parts_are_folders_and_labels_their_classes(tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for label in COLOURS:
            drawn(tmp_path / part / label, label, count)
    splits = load_splits(DataCard(name="image_folder", folder=tmp_path, mean=(0, 0, 0), std=(1, 1, 1)))
    assert [len(part) for part in (splits.train, splits.search, splits.test)] == [8, 4, 6]
    assert splits.classes == ("blue", "red")
    pixels, labels = splits.test.take(slice(0, None))
    assert torch.equal(labels, (pixels[:, 0].mean(dim=(1, 2)) > 0.5).long())
    assert splits.preprocessing is not None
    assert splits.preprocessing["size"] == [9, 8]


def test_parts_that_are_not_given_take_their_share_of_each_class(tmp_path: Path) -> None:
    drawn(tmp_path / "blue", "blue", 20)
    drawn(tmp_path / "red", "red", 10)
    splits = load_splits(DataCard(name="image_folder", folder=tmp_path))
    for part, blue, red in ((splits.test, 5, 2), (splits.search, 4, 2), (splits.train, 11, 6)):
        labels = part.take(slice(0, None))[1]
        assert abs(int((labels == 0).sum()) - blue) <= 1
        assert abs(int((labels == 1).sum()) - red) <= 1


def test_a_list_says_file_label_and_part(tmp_path: Path) -> None:
    drawn(tmp_path / "files", "red", 6)
    rows = [
        f"files/red{index}.png,{'odd' if index % 2 else 'even'},{'train' if index < 4 else 'val'}" for index in range(6)
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label,part", *rows, "files/red0.png,even,test"]) + "\n")
    splits = load_splits(DataCard(name="image_folder", folder=tmp_path))
    assert splits.classes == ("even", "odd")
    assert splits.search.take(slice(0, None))[1].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("file,label\nnowhere.png,a\n", r"labels\.csv lists 'nowhere\.png', which is no file in"),
        ("file,label,part\nred0.png,a,dev\n", r"each row needs file and label, and train, search or test as part"),
        ("file\nred0.png\n", r"each row needs file and label"),
    ],
)
def test_lists_that_cannot_be_meant(text: str, match: str, tmp_path: Path) -> None:
    drawn(tmp_path, "red", 2)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=match):
        load_splits(DataCard(name="image_folder", folder=tmp_path))


def test_images_without_a_class_and_of_several_sizes(tmp_path: Path) -> None:
    drawn(tmp_path, "red", 2)
    with pytest.raises(DataError, match=r"lies in no folder of a class: move it into one, or list classes"):
        load_splits(DataCard(name="image_folder", folder=tmp_path))
    drawn(tmp_path / "b" / "red", "red", 5)
    drawn(tmp_path / "b" / "blue", "blue", 5, size=(7, 8))
    with pytest.raises(DataError, match=r"set data\.width and data\.height"):
        load_splits(DataCard(name="image_folder", folder=tmp_path / "b"))


@pytest.mark.parametrize("target", ["nowhere.png", "red0.png"])
def test_links_that_lead_nowhere_and_round(tmp_path: Path, target: str) -> None:
    drawn(tmp_path / "red", "red", 5)
    link = tmp_path / "red" / "red0.png"
    link.unlink()
    link.symlink_to(link.with_name(target))
    with pytest.raises(DataError, match=r"red0\.png cannot be read: "):
        load_splits(DataCard(name="image_folder", folder=tmp_path, height=8, width=8))
