"""Pixels and labels move together: images that hold their own coordinates show where each pixel came from."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evo_qnas.data import IGNORE, Augmentation, augment


def coordinate_images(n: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Channel 0 is the row, channel 1 the column, channel 2 the image; the label counts all pixels of an image."""
    rows = torch.arange(height, dtype=torch.float32)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.float32).expand(height, width)
    pixels = torch.stack([torch.stack([rows, columns, torch.full_like(rows, i + 1.0)]) for i in range(n)])
    return pixels, torch.arange(height * width).view(1, height, width).repeat(n, 1, 1) + 1000


geometries = st.builds(
    Augmentation,
    flip=st.booleans(),
    scale=st.sampled_from([(1.0, 1.0), (0.5, 2.0), (0.75, 1.6), (0.6, 0.6), (1.7, 1.7)]),
    crop=st.one_of(st.none(), st.tuples(st.integers(1, 24), st.integers(1, 24))),
)


@given(geometries, st.integers(4, 17), st.integers(4, 17), st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_pixels_and_labels_show_the_same_place(what: Augmentation, height: int, width: int, seed: int) -> None:
    pixels, labels = coordinate_images(3, height, width)
    kept = pixels.clone(), labels.clone()
    moved, places = augment(pixels, labels, what, torch.Generator().manual_seed(seed))
    assert torch.equal(pixels, kept[0])
    assert torch.equal(labels, kept[1])
    assert moved.shape == (3, 3, *(what.crop or (height, width)))
    inside = places != IGNORE
    assert torch.all(
        moved[:, 2][inside].sub(torch.arange(1.0, 4.0)[:, None, None].expand_as(places)[inside]).abs() < 1e-3
    )
    assert torch.all(moved.permute(0, 2, 3, 1)[~inside] == 0.0)
    row, column = (places - 1000).div(width, rounding_mode="floor").float(), ((places - 1000) % width).float()
    assert torch.all((moved[:, 0] - row)[inside].abs() <= 0.501)
    assert torch.all((moved[:, 1] - column)[inside].abs() <= 0.501)


@given(geometries, st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_an_image_is_never_lost(what: Augmentation, seed: int) -> None:
    """A smaller image lies wholly inside a larger crop, a larger one fills the crop."""
    pixels, labels = coordinate_images(4, 9, 12)
    _, places = augment(pixels, labels, what, torch.Generator().manual_seed(seed))
    seen = places != IGNORE
    for axis, length, wanted in ((2, 9, places.shape[1]), (1, 12, places.shape[2])):
        share = seen.any(dim=axis).sum(dim=1)
        low, high = what.scale[0] * length - 1, what.scale[1] * length + 1
        assert torch.all(share >= min(wanted, low))
        assert torch.all(share <= min(wanted, high))


def test_half_of_the_images_are_mirrored_exactly() -> None:
    pixels, labels = coordinate_images(400, 4, 6)
    moved, places = augment(pixels, labels, Augmentation(flip=True), torch.Generator().manual_seed(0))
    mirrored = moved[:, 1, 0, 0] > 2.0
    expected = torch.where(mirrored[:, None, None, None], pixels.flip(3), pixels)
    torch.testing.assert_close(moved, expected, atol=1e-4, rtol=0)
    assert torch.equal(places, torch.where(mirrored[:, None, None], labels.flip(2), labels))
    assert 150 < int(mirrored.sum()) < 250  # 400 fair coins: deviation 10, five of them either side


def test_a_crop_without_scaling_copies_pixels() -> None:
    pixels = torch.randn(5, 3, 10, 12, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(120).view(1, 10, 12).repeat(5, 1, 1)
    what = Augmentation(flip=False, crop=(4, 5))
    moved, places = augment(pixels, labels, what, torch.Generator().manual_seed(2))
    for image in range(5):
        top, left = divmod(int(places[image, 0, 0]), 12)
        assert torch.equal(places[image], labels[image, top : top + 4, left : left + 5])
        expected = pixels[image, :, top : top + 4, left : left + 5]
        torch.testing.assert_close(moved[image], expected, atol=1e-4, rtol=0)
    assert len({int(places[i, 0, 0]) for i in range(5)}) > 1


def test_nothing_asked_for_changes_nothing() -> None:
    pixels, labels = coordinate_images(2, 5, 7)
    moved, places = augment(pixels, labels, Augmentation(flip=False), torch.Generator().manual_seed(0))
    assert torch.equal(moved, pixels)
    assert torch.equal(places, labels)


def test_equal_seeds_give_equal_batches_and_other_seeds_do_not() -> None:
    pixels, labels = coordinate_images(4, 8, 8)
    what = Augmentation(scale=(0.5, 2.0), crop=(6, 6), brightness=0.5, contrast=0.3, saturation=0.3)
    first, again, other = (augment(pixels, labels, what, torch.Generator().manual_seed(s)) for s in (3, 3, 4))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("kind", ["brightness", "contrast", "saturation"])
def test_colours_change_as_said_and_labels_stay(kind: str) -> None:
    source = torch.Generator().manual_seed(5)
    pixels, labels = torch.randn(50, 3, 6, 7, generator=source), torch.zeros(50, 6, 7, dtype=torch.int64)
    what = Augmentation(flip=False, **{kind: 0.4})
    moved, places = augment(pixels, labels, what, torch.Generator().manual_seed(6))
    assert torch.equal(places, labels)
    grey = torch.tensor([0.299, 0.587, 0.114])
    shade, new_shade = (torch.einsum("nchw,c->nhw", p, grey)[:, None] for p in (pixels, moved))
    middle = shade.mean(dim=(2, 3), keepdim=True)
    before, after = {
        "brightness": (torch.ones_like(pixels), moved - pixels),
        "contrast": (pixels - middle, moved - middle),
        "saturation": (pixels - shade, moved - new_shade),
    }[kind]
    factor = (before * after).sum(dim=(1, 2, 3), keepdim=True) / before.square().sum(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(after, factor * before, atol=1e-4, rtol=0)
    base = 0.0 if kind == "brightness" else 1.0
    assert base - 0.4 <= factor.min() < base - 0.25
    assert base + 0.25 < factor.max() <= base + 0.4
    if kind == "saturation":
        torch.testing.assert_close(new_shade, shade, atol=1e-5, rtol=0)


def test_padding_stays_zero_when_colours_change() -> None:
    pixels, labels = coordinate_images(3, 4, 4)
    what = Augmentation(crop=(9, 9), brightness=1.0)
    moved, places = augment(pixels, labels, what, torch.Generator().manual_seed(0))
    outside = places == IGNORE
    assert int(outside.sum()) == 3 * (81 - 16)
    assert torch.all(moved.permute(0, 2, 3, 1)[outside] == 0.0)
