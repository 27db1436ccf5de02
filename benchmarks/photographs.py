"""Real photographs that packages ship, as normalised crops: no download.

scikit-image and scikit-learn hold some twenty photographs. Train, search and test crops come from different
photographs, so that a held-out crop shows nothing that was learnt from. Within a part the crops are windows of random
size and place of its photographs, half of them mirrored: fewer independent pictures than their number says.
"""

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float
from PIL import Image

SIDE: Final = 224
# Channels of EfficientNet-Lite, as its authors normalise them.
_MEAN, _DEVIATION = 127.0, 128.0

PHOTOGRAPHS: Final = {
    "train": ("coffee.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "retina.jpg", "brick.png", "moon.png"),
    "search": ("astronaut.png", "coins.png", "grass.png", "ihc.png"),
    "test": ("chelsea.png", "china.jpg", "flower.jpg", "hubble_deep_field.jpg", "gravel.png"),
}


def _path(name: str) -> Path:
    """The file of a photograph in scikit-learn or scikit-image."""
    import skimage
    import sklearn.datasets

    folders = (Path(skimage.__file__).parent / "data", Path(sklearn.datasets.__file__).parent / "images")
    return next(folder / name for folder in folders if (folder / name).is_file())


def crops(part: str, each: int, *, seed: int, side: int = SIDE) -> Float[np.ndarray, "n 3 side side"]:
    """Normalised crops of the photographs of a part, `each` of every photograph."""
    rng, found = np.random.default_rng(seed), []
    for name in PHOTOGRAPHS[part]:
        picture = Image.open(_path(name)).convert("RGB")
        found += [normalised(picture, rng, side, least=0.45) for _ in range(each)]
    return np.stack(found)


def normalised(
    picture: Image.Image, rng: np.random.Generator, side: int, *, least: float
) -> Float[np.ndarray, "3 side side"]:
    """A square crop of random place and of `least` to all of the shorter side, one in two mirrored."""
    edge = round(min(picture.size) * rng.uniform(least, 1.0))
    left, top = (int(rng.integers(0, size - edge + 1)) for size in picture.size)
    window = picture.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge))
    pixels = np.asarray(window, dtype=np.float32)[:, :: 1 if rng.random() < 0.5 else -1]
    scaled: np.ndarray = (pixels.transpose(2, 0, 1) - _MEAN) / _DEVIATION
    return scaled
