from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evo_qnas.data import IGNORE, DataCard, load_splits
from evo_qnas.data.folder import list_folder
from evo_qnas.errors import DataError
from tests.data.conftest import write_image, write_label

NAMES = ["background", "road", "car"]


def make(root: Path, names: list[str]) -> dict[str, np.ndarray]:
    """Images `names` with labels 0..2; gives the labels."""
    rng = np.random.default_rng(0)
    labels = {}
    for name in names:
        write_image(root / "images" / f"{name}.jpg", rng)
        labels[name] = write_label(root / "labels" / f"{name}.png", rng.integers(0, 3, (12, 16)))
    return labels


def card(folder: Path, **keys: object) -> DataCard:
    return DataCard.model_validate({"name": "folder", "folder": folder, "classes": NAMES} | keys)


def names_of(folder_card: DataCard) -> dict[str, list[str]]:
    parts = list_folder(folder_card).parts
    return {part: [pair.image.stem for pair in pairs] for part, pairs in parts.items()}


def test_a_plain_folder_is_drawn_apart(tmp_path: Path) -> None:
    labels = make(tmp_path, [f"{number:02d}" for number in range(20)])
    parts = names_of(card(tmp_path, search_share=0.2, test_share=0.25))
    assert {part: len(names) for part, names in parts.items()} == {"train": 11, "search": 4, "test": 5}
    assert sorted(name for names in parts.values() for name in names) == sorted(labels)
    assert names_of(card(tmp_path, split_seed=1)) != parts
    splits = load_splits(card(tmp_path))
    assert splits.classes == tuple(NAMES)
    assert np.array_equal(splits.test.labels[0].numpy(), labels[parts["test"][0]])


def test_parts_by_sub_folder(tmp_path: Path) -> None:
    make(tmp_path, ["train/a", "train/b", "train/deep/c", "val/a", "test/d"])
    assert names_of(card(tmp_path)) == {"train": ["a", "b", "c"], "search": ["a"], "test": ["d"]}


def test_a_single_other_part_is_the_test_part(tmp_path: Path) -> None:
    make(tmp_path, [f"train/{number}" for number in range(5)] + ["val/x", "val/y"])
    parts = names_of(card(tmp_path))
    assert parts["test"] == ["x", "y"]
    assert (len(parts["train"]), len(parts["search"])) == (4, 1)


def test_parts_by_list(tmp_path: Path) -> None:
    make(tmp_path, ["a", "b", "c", "d"])
    (tmp_path / "train.txt").write_text("# two\na\nb.jpg\n")
    (tmp_path / "val.txt").write_text("c\n")
    (tmp_path / "test.txt").write_text("d\n\n")
    assert names_of(card(tmp_path)) == {"train": ["a", "b"], "search": ["c"], "test": ["d"]}
    (tmp_path / "test.txt").write_text("d\nb\n")
    with pytest.raises(DataError, match="image b stands in the lists of test and train"):
        list_folder(card(tmp_path))
    (tmp_path / "test.txt").write_text("e\n")
    with pytest.raises(DataError, match=r"test\.txt lists 'e', which is no image in .*images"):
        list_folder(card(tmp_path))
    (tmp_path / "test.txt").write_text("\n")
    with pytest.raises(DataError, match=r"the test part of .* is empty"):
        list_folder(card(tmp_path))


def test_endings_and_folders_of_ones_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for name in "abcd":
        write_image(tmp_path / "photo" / f"{name}_rgb.png", rng)
        write_label(tmp_path / "photo" / f"{name}_mask.png", np.zeros((12, 16)))
    keys = {"image_folder": "photo", "label_folder": "photo", "image_ending": "_rgb", "label_ending": "_mask"}
    assert sum(len(names) for names in names_of(card(tmp_path, **keys)).values()) == 4


def test_values_names_and_what_is_ignored(tmp_path: Path) -> None:
    make(tmp_path, list("abcd"))
    for path in (tmp_path / "labels").iterdir():
        write_label(path, np.tile([[7, 9, 3, 255]], (12, 4)))
    classes = [{"name": "road", "value": 7}, {"name": "car", "value": 3}, {"name": "road", "value": 9}]
    splits = load_splits(card(tmp_path, classes=classes))
    assert splits.classes == ("road", "car")
    assert splits.train.labels[0, 0, :4].tolist() == [0, 0, 1, IGNORE]
    splits = load_splits(card(tmp_path, classes=classes[:2], ignore=[9]))
    assert splits.train.labels[0, 0, :4].tolist() == [0, IGNORE, 1, IGNORE]
    with pytest.raises(DataError, match=r"value 9, which is none of the 2 classes"):
        load_splits(card(tmp_path, classes=classes[:2]))


def test_colours(tmp_path: Path) -> None:
    make(tmp_path, list("abcd"))
    row = np.array([[128, 64, 128], [0, 0, 142], [0, 0, 0], [128, 64, 128]], dtype=np.uint8)
    image = np.tile(row, (12, 4, 1))
    for path in (tmp_path / "labels").iterdir():
        write_label(path, image)
    palette = Image.fromarray(image).quantize(3)
    palette.save(tmp_path / "labels" / "a.png")
    classes = [{"name": "road", "colour": [128, 64, 128]}, {"name": "car", "colour": [0, 0, 142]}]
    splits = load_splits(card(tmp_path, classes=classes, ignore_colours=[[0, 0, 0]]))
    for images in (splits.train, splits.search, splits.test):
        assert (images.labels[:, :, :4] == splits.train.labels[0, 0, :4]).all()
    assert splits.train.labels[0, 0, :4].tolist() == [0, 1, IGNORE, 0]
    with pytest.raises(DataError, match=r"the colour \(0, 0, 0\), which is none .* data\.ignore_colours"):
        load_splits(card(tmp_path, classes=classes))
    with pytest.raises(DataError, match=r"[abcd]\.png has the mode RGB, one value a pixel is wanted"):
        load_splits(card(tmp_path))
    for path in (tmp_path / "labels").iterdir():
        write_label(path, np.zeros((12, 16)))
    with pytest.raises(DataError, match=r"has the mode L, the classes have colours: give them values"):
        load_splits(card(tmp_path, classes=classes))


def test_palette_images_hold_indices(tmp_path: Path) -> None:
    labels = make(tmp_path, list("abcd"))
    for name, values in labels.items():
        indexed = Image.fromarray(values.astype(np.uint8))
        indexed.putpalette([0, 0, 0, 128, 64, 128, 0, 0, 142])
        assert indexed.mode == "P"
        indexed.save(tmp_path / "labels" / f"{name}.png")
    first = names_of(card(tmp_path))["train"][0]
    assert np.array_equal(load_splits(card(tmp_path)).train.labels[0].numpy(), labels[first])


def test_grey_images_and_sixteen_bit_labels(tmp_path: Path) -> None:
    labels = make(tmp_path, list("abcd"))
    for name, values in labels.items():
        (tmp_path / "images" / f"{name}.jpg").unlink()
        Image.fromarray(np.full((12, 16), 77, dtype=np.uint8)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray((values * 1000).astype(np.uint16)).save(tmp_path / "labels" / f"{name}.png")
    classes = [{"name": name, "value": 1000 * place} for place, name in enumerate(NAMES)]
    splits = load_splits(card(tmp_path, classes=classes))
    first = names_of(card(tmp_path))["train"][0]
    assert np.array_equal(splits.train.labels[0].numpy(), labels[first])
    assert (splits.train.pixels == 77).all()


BAD = {
    "no classes": ({"classes": None}, r"data\.classes is missing: list the class names"),
    "mixed": (
        {"classes": ["a", {"name": "b", "colour": [1, 2, 3]}]},
        r"class 'b' breaks the rule that all or none have a colour",
    ),
    "one value twice": (
        {"classes": [{"name": "a", "value": 1}, "b"]},
        r"data\.classes: 1 stands for 'a' and for 'b'",
    ),
    "ignored class": ({"ignore": [2]}, r"data\.classes: 2 stands for 'car' and is to be ignored"),
}


@pytest.mark.parametrize("case", BAD)
def test_odd_class_lists_get_one_sentence(tmp_path: Path, case: str) -> None:
    make(tmp_path, list("abcd"))
    keys, match = BAD[case]
    with pytest.raises(DataError, match=match):
        list_folder(card(tmp_path, **keys))


def test_an_image_beside_the_parts_is_refused(tmp_path: Path) -> None:
    make(tmp_path, ["train/a", "train/b", "val/c", "d"])
    with pytest.raises(DataError, match=r"d\.jpg lies in none of the folders train, search \(or val\) and test"):
        list_folder(card(tmp_path))


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    make(tmp_path, ["a"])
    with pytest.raises(DataError, match="needs at least two images to split, there are 1"):
        list_folder(card(tmp_path))
