"""Small data sets on disk in the true layouts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evo_qnas.data.cityscapes import CLASSES

Write = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_data_elsewhere(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Only tests of the real data may find data outside of their own folder."""
    if "real_data" not in request.fixturenames:
        monkeypatch.delenv("EVO_QNAS_DATA", raising=False)


def write_image(path: Path, rng: np.random.Generator, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """Random red, green and blue."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def write_label(path: Path, values: np.ndarray) -> np.ndarray:
    """One value or colour a pixel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)
    return values


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """A miniature of CamVid: 4, 2 and 3 images of 16 x 12."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for index in range(count):
            write_image(tmp_path / "camvid" / part / f"{part}_{index}.png", rng)
            values = rng.integers(0, 12, (12, 16))
            write_label(tmp_path / "camvid" / f"{part}annot" / f"{part}_{index}.png", values)
    return tmp_path / "camvid"


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    """A miniature of Cityscapes: six train cities with five images each, one val city with three, ids 0..33."""
    rng = np.random.default_rng(1)
    root = tmp_path / "cityscapes"
    cities = [("train", f"city{number}", 5) for number in range(6)] + [("val", "frankfurt", 3)]
    for part, city, count in cities:
        for index in range(count):
            name = f"{city}_{index:06d}_000019"
            write_image(root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png", rng, (16, 32))
            fine = root / "gtFine" / part / city
            write_label(fine / f"{name}_gtFine_labelIds.png", rng.integers(0, 34, (16, 32)))
            write_label(fine / f"{name}_gtFine_instanceIds.png", rng.integers(0, 34, (16, 32)))
            write_label(fine / f"{name}_gtFine_color.png", rng.integers(0, 255, (16, 32, 3)))
    assert len(CLASSES) == 19
    return root
