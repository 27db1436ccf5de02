"""Materials of sprites, their colours, and the class that each material has on each kind of thing."""

from enum import IntEnum

import numpy as np
from jaxtyping import Float, UInt8

from evo_qnas.data.cityscapes import CLASSES


class Material(IntEnum):
    """Materials of sprites; 0 lets through what is behind."""

    nothing = 0
    body = 1
    glass = 2
    tyre = 3
    lamp = 4
    skin = 5
    hair = 6
    top = 7
    trousers = 8
    shoes = 9
    frame = 10
    leaf = 11
    dark_leaf = 12
    trunk = 13
    face = 14
    mark = 15
    pole = 16
    red = 17
    amber = 18
    green = 19
    trim = 20
    box = 21
    plate = 22
    rim = 23


_COLOURS = {
    Material.body: (120, 120, 125),
    Material.glass: (45, 52, 60),
    Material.tyre: (25, 25, 27),
    Material.lamp: (190, 40, 35),
    Material.skin: (200, 155, 130),
    Material.hair: (50, 38, 30),
    Material.top: (90, 90, 110),
    Material.trousers: (50, 55, 75),
    Material.shoes: (35, 33, 33),
    Material.frame: (60, 60, 65),
    Material.leaf: (80, 105, 55),
    Material.dark_leaf: (50, 72, 38),
    Material.trunk: (75, 62, 50),
    Material.face: (225, 225, 225),
    Material.mark: (190, 35, 40),
    Material.pole: (110, 112, 112),
    Material.red: (225, 50, 40),
    Material.amber: (60, 50, 25),
    Material.green: (25, 50, 40),
    Material.trim: (55, 55, 58),
    Material.box: (30, 32, 32),
    Material.plate: (205, 205, 200),
    Material.rim: (150, 150, 155),
}


def base_palette() -> Float[np.ndarray, "24 3"]:
    """Usual colours of all materials, float32."""
    palette = np.zeros((len(Material), 3), dtype=np.float32)
    for material, colour in _COLOURS.items():
        palette[material] = colour
    return palette


def class_of(name: str) -> int:
    """The number of a class."""
    return CLASSES.index(name)


def classes_of(usual: str, others: dict[Material, str] | None = None) -> UInt8[np.ndarray, "24"]:
    """The class of each material on a thing: the usual one, with exceptions."""
    classes = np.full(len(Material), class_of(usual), dtype=np.uint8)
    for material, name in (others or {}).items():
        classes[material] = class_of(name)
    return classes


_BICYCLE = dict.fromkeys((Material.tyre, Material.frame, Material.rim, Material.lamp), "bicycle")
_MOTORCYCLE = dict.fromkeys(
    (Material.tyre, Material.frame, Material.rim, Material.lamp, Material.body, Material.trim, Material.plate),
    "motorcycle",
)
_LIGHTS = dict.fromkeys((Material.box, Material.red, Material.amber, Material.green), "traffic light")
_SIGNS = dict.fromkeys((Material.face, Material.mark), "traffic sign")

KINDS = {
    "car": classes_of("car"),
    "truck": classes_of("truck"),
    "bus": classes_of("bus"),
    "train": classes_of("train"),
    "person": classes_of("person"),
    "bicycle": classes_of("bicycle"),
    "motorcycle": classes_of("motorcycle"),
    "rider on bicycle": classes_of("rider", _BICYCLE),
    "rider on motorcycle": classes_of("rider", _MOTORCYCLE),
    "tree": classes_of("vegetation"),
    "post": classes_of("pole", _LIGHTS | _SIGNS),
}
