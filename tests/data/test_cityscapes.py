from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evo_qnas.data import IGNORE, DataCard, load_splits
from evo_qnas.data.cityscapes import CLASSES, list_cityscapes
from evo_qnas.errors import DataError
from tests.data.conftest import write_image, write_label

# The published table: name, id, train id (cityscapesscripts.helpers.labels); all others have train id 255.
PUBLISHED = {
    ("road", 7, 0),
    ("sidewalk", 8, 1),
    ("building", 11, 2),
    ("wall", 12, 3),
    ("fence", 13, 4),
    ("pole", 17, 5),
    ("traffic light", 19, 6),
    ("traffic sign", 20, 7),
    ("vegetation", 21, 8),
    ("terrain", 22, 9),
    ("sky", 23, 10),
    ("person", 24, 11),
    ("rider", 25, 12),
    ("car", 26, 13),
    ("truck", 27, 14),
    ("bus", 28, 15),
    ("train", 31, 16),
    ("motorcycle", 32, 17),
    ("bicycle", 33, 18),
}


def card(folder: Path, **keys: object) -> DataCard:
    return DataCard.model_validate({"name": "cityscapes", "folder": folder} | keys)


def test_ids_become_the_published_train_ids(cityscapes: Path) -> None:
    listing = list_cityscapes(card(cityscapes))
    known = {(CLASSES[target], code, target) for code, target in listing.coding.codes if target != IGNORE}
    assert known == PUBLISHED
    assert sorted(code for code, _ in listing.coding.codes) == [*range(34), 255]


def test_val_is_test_and_whole_cities_are_the_search_part(cityscapes: Path) -> None:
    listing = list_cityscapes(card(cityscapes, search_share=0.2))
    cities = {part: {pair.image.parent.name for pair in pairs} for part, pairs in listing.parts.items()}
    assert cities["test"] == {"frankfurt"}
    assert len(listing.parts["test"]) == 3
    assert not cities["train"] & cities["search"]
    assert [len(listing.parts[part]) for part in ("train", "search")] == [25, 5]  # of 30, 6 wanted, 5 in a city
    assert {pair.label.name for pair in listing.parts["search"]} == {
        pair.image.name.replace("leftImg8bit", "gtFine_labelIds") for pair in listing.parts["search"]
    }


def test_other_seeds_draw_other_cities(cityscapes: Path) -> None:
    drawn = {
        list_cityscapes(card(cityscapes, split_seed=seed)).parts["search"][0].image.parent.name for seed in range(12)
    }
    assert len(drawn) > 2


def test_few_cities_are_split_by_sequence(cityscapes: Path) -> None:
    """Two more frames of one sequence in one city: at a share of 0.1, three images are wanted and no city is drawn."""
    rng = np.random.default_rng(3)
    for frame in ("000020", "000021"):
        name = f"city0_000000_{frame}"
        write_image(cityscapes / "leftImg8bit/train/city0" / f"{name}_leftImg8bit.png", rng, (16, 32))
        write_label(cityscapes / "gtFine/train/city0" / f"{name}_gtFine_labelIds.png", np.zeros((16, 32)))
    for seed in range(10):
        listing = list_cityscapes(card(cityscapes, search_share=0.1, split_seed=seed))
        sequences = [
            {pair.image.name[: len("city0_000000")] for pair in listing.parts[part]} for part in ("train", "search")
        ]
        assert not sequences[0] & sequences[1]
        assert 2 <= len(listing.parts["search"]) <= 4


def test_images_at_the_size_of_the_card(cityscapes: Path) -> None:
    splits = load_splits(card(cityscapes, height=8, width=16))
    assert splits.classes == CLASSES
    assert splits.test.pixels.shape == (3, 3, 8, 16)
    name = "frankfurt_000002_000019"
    values = Image.open(cityscapes / "gtFine/val/frankfurt" / f"{name}_gtFine_labelIds.png")
    ids = np.asarray(values.resize((16, 8), Image.Resampling.NEAREST))
    table = np.full(34, IGNORE)
    for _, code, target in PUBLISHED:
        table[code] = target
    assert np.array_equal(splits.test.labels[2].numpy(), table[ids])
    image = Image.open(cityscapes / "leftImg8bit/val/frankfurt" / f"{name}_leftImg8bit.png")
    mean = np.asarray(image, dtype=float).reshape(8, 2, 16, 2, 3)[3:5, :, 7:9].mean()
    assert abs(splits.test.pixels[2, :, 3:5, 7:9].float().mean() - mean) < 25.0  # averaged over neighbours, not picked


def test_train_ids_are_read_where_there_are_no_ids(cityscapes: Path) -> None:
    rng = np.random.default_rng(4)
    for path in sorted(cityscapes.rglob("*_labelIds.png")):
        path.unlink()
        values = rng.choice([*range(19), 255], (16, 32))
        write_label(path.with_name(path.name.replace("labelIds", "labelTrainIds")), values)
    splits = load_splits(card(cityscapes))
    assert np.array_equal(splits.test.labels[2].numpy(), values)


def test_missing_parts_get_one_sentence(cityscapes: Path) -> None:
    (cityscapes / "gtFine/val/frankfurt/frankfurt_000001_000019_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError, match=r"image .*frankfurt_000001_000019_leftImg8bit\.png has no label .*gtFine/val"):
        load_splits(card(cityscapes))
    for path in cityscapes.rglob("*labelIds.png"):
        path.unlink()
    with pytest.raises(DataError, match=r"no label images \*_gtFine_labelIds\.png or .*TrainIds\.png in .*train"):
        load_splits(card(cityscapes))
    with pytest.raises(DataError, match=r"set data\.folder to a folder with leftImg8bit/\{train,val\}/<city>/"):
        load_splits(card(cityscapes / "nowhere"))
