"""People, signs, trees and lamps beside the road."""

import numpy as np

from evo_qnas.data.streets.bystanders import back_of_signal, people, post, signal, signs, street_lamp, trees
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.materials import Material
from evo_qnas.data.streets.painting import Thing, dressed, repainted, standing
from evo_qnas.data.streets.sampler import Sampler
from evo_qnas.data.streets.vehicles import two_wheelers

# Metres; further ones would be two or three pixels high at the default size.
_FARTHEST = 55.0


def draw_walkways(layout: Layout, sampler: Sampler) -> list[Thing]:
    """People, bicycles, lamps, signs, traffic lights and trees on both sides."""
    crowd = sampler.whole(0, 5) if sampler.chance(0.8) else sampler.whole(5, 12)
    things: list[Thing] = []
    leaf = sampler.between(-15, 40)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        things += _people(side, sign, crowd, sampler)
        things += _lamps(side, sign, sampler) + _signs(side, sign, sampler) + _row_of_trees(side, sign, leaf, sampler)
        things += _bicycles(side, sign, sampler)
    if layout.crossing is not None:
        things += _signals(layout, layout.crossing[0], sampler)
        things += _crossing_people(layout, layout.crossing[0] - 2.7, sampler)
    return things


def draw_gardens(layout: Layout, sampler: Sampler) -> list[Thing]:
    """Trees and bushes between sidewalk and houses."""
    things: list[Thing] = []
    leaf = sampler.between(-15, 40)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        if side.front - side.walk < 1.5:
            continue
        for _ in range(sampler.whole(0, 6)):
            x, z = sign * sampler.between(side.walk + 0.5, side.front), sampler.between(5.0, layout.end * 0.8)
            things.append(_tree(x, z, leaf, sampler, tall=sampler.between(1.2, 7.0)))
    return things


def _someone(x: float, z: float, sampler: Sampler) -> Thing:
    """A person, now and then a child."""
    tall = sampler.between(1.0, 1.4) if sampler.chance(0.12) else sampler.between(1.55, 1.9)
    return standing(
        sampler.one_of(people()), "person", dressed(sampler), x=x, z=z, size=(tall * 0.45, tall), shadow=0.3
    )


def _people(side: Side, sign: int, crowd: int, sampler: Sampler) -> list[Thing]:
    """People on the sidewalk, some in groups."""
    things = []
    for _ in range(crowd):
        x, z = sampler.between(side.verge + 0.3, side.walk - 0.2), 3.5 + _FARTHEST * sampler.share() * sampler.share()
        group = sampler.whole(1, 3) if sampler.chance(0.3) else 1
        things += [_someone(sign * (x + 0.6 * step), z + sampler.around(0.0, 0.5), sampler) for step in range(group)]
    return things


def _crossing_people(layout: Layout, z: float, sampler: Sampler) -> list[Thing]:
    """People on the zebra crossing."""
    if z < 4.0 or not sampler.chance(0.5):
        return []
    return [
        _someone(sampler.between(-layout.left.kerb, layout.right.kerb), z + sampler.around(0.0, 1.2), sampler)
        for _ in range(sampler.whole(1, 4))
    ]


def _bicycles(side: Side, sign: int, sampler: Sampler) -> list[Thing]:
    """Parked bicycles, often several in a row, now and then a motorcycle."""
    if not sampler.chance(0.4):
        return []
    x = sign * (sampler.between(side.verge + 0.2, side.verge + 0.8) if sampler.chance(0.5) else side.walk - 0.4)
    z = sampler.between(4.0, 30.0)
    things = []
    for number in range(sampler.whole(1, 4)):
        kind = "bicycle" if sampler.chance(0.8) else "motorcycle"
        sprite, size = sampler.one_of(two_wheelers()[kind])
        things.append(standing(sprite, kind, dressed(sampler), x=x, z=z + 1.1 * number, size=size, shadow=0.3))
    return things


def _pole(sampler: Sampler, *, x: float, z: float, tall: float, wide: float = 0.1) -> Thing:
    grey = sampler.between(45, 165)
    return standing(
        post(), "post", repainted({Material.pole: (grey, grey, grey)}), x=x, z=z, size=(wide, tall), shadow=0.2
    )


def _lamps(side: Side, sign: int, sampler: Sampler) -> list[Thing]:
    """Street lamps at even distances, their arms over the road; or plain poles."""
    if not sampler.chance(0.65):
        return []
    step, z, tall, grey = (
        sampler.between(14, 32),
        sampler.between(3, 20),
        sampler.between(5.0, 9.0),
        sampler.between(45, 160),
    )
    sprite = street_lamp() if sign < 0 else np.ascontiguousarray(street_lamp()[:, ::-1])
    palette = repainted({Material.pole: (grey, grey, grey + 2)})
    plain, things = sampler.chance(0.35), []
    while z < 90.0:
        x = sign * (side.kerb + 0.45)
        if plain:
            things.append(_pole(sampler, x=x, z=z, tall=tall, wide=0.22))
        else:
            wide = tall * 0.275
            things.append(
                standing(sprite, "post", palette, x=x - sign * wide * 0.4, z=z, size=(wide, tall), shadow=0.15)
            )
        z += step
    return things


_FACES = (
    ((230, 230, 225), (190, 35, 40)),
    ((230, 230, 225), (35, 70, 160)),
    ((235, 235, 230), (30, 110, 70)),
    ((240, 200, 50), (235, 235, 230)),
    ((40, 40, 40), (235, 195, 50)),
)


def _signs(side: Side, sign: int, sampler: Sampler) -> list[Thing]:
    """Traffic signs on their poles; some turn their grey back."""
    things: list[Thing] = []
    for _ in range(sampler.whole(0, 3)):
        x, z = sign * (side.kerb + sampler.between(0.3, 0.7)), 4.0 + 40.0 * sampler.share() * sampler.share()
        low, wide = sampler.between(1.9, 2.6), sampler.between(0.55, 0.85)
        sprite = sampler.one_of(signs())
        high = wide * sprite.shape[0] / sprite.shape[1]
        face, mark = sampler.one_of(_FACES)
        if sampler.chance(0.15):
            face = mark = (120, 122, 122)
        palette = repainted({Material.face: face, Material.mark: mark}, sampler.between(0.75, 1.1))
        things.append(_pole(sampler, x=x, z=z + 0.02, tall=low + 0.1))
        things.append(standing(sprite, "post", palette, x=x, z=z, y=low, size=(wide, high)))
    return things


_LAMPS = (
    {Material.red: (250.0, 60.0, 45.0), Material.amber: (60.0, 50.0, 25.0), Material.green: (25.0, 50.0, 40.0)},
    {Material.red: (70.0, 25.0, 25.0), Material.amber: (60.0, 50.0, 25.0), Material.green: (70.0, 240.0, 170.0)},
    {Material.red: (70.0, 25.0, 25.0), Material.amber: (250.0, 190.0, 60.0), Material.green: (25.0, 50.0, 40.0)},
)


def _signals(layout: Layout, near: float, sampler: Sampler) -> list[Thing]:
    """Traffic lights before a side street."""
    if not sampler.chance(0.7):
        return []
    palette = repainted(sampler.one_of(_LAMPS))
    things: list[Thing] = []
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        x, low = sign * (side.kerb + 0.4), sampler.between(2.1, 2.7)
        z = near - sampler.between(0.5, 2.0)
        sprite = signal() if sign > 0 or sampler.chance(0.5) else back_of_signal()
        things.append(_pole(sampler, x=x, z=z + 0.02, tall=low + 0.3, wide=0.14))
        things.append(standing(sprite, "post", palette, x=x, z=z, y=low, size=(0.36, 0.95)))
    if sampler.chance(0.35):
        x = sampler.between(-0.5, 1.0)
        things.append(standing(signal(), "post", palette, x=x, z=near, y=sampler.between(4.6, 5.4), size=(0.4, 1.05)))
        right = layout.right.kerb + 0.4
        things.append(
            standing(post(), "post", repainted({}), x=(x + right) / 2, z=near + 0.03, y=5.6, size=(right - x, 0.14))
        )
        things.append(_pole(sampler, x=right, z=near + 0.03, tall=5.7, wide=0.18))
    return things


def _row_of_trees(side: Side, sign: int, leaf: float, sampler: Sampler) -> list[Thing]:
    """Trees at even distances beside the road."""
    if not sampler.chance(0.4):
        return []
    step, z, tall = sampler.between(6.0, 14.0), sampler.between(2.5, 14.0), sampler.between(4.0, 10.0)
    x = sign * ((side.kerb + side.verge) / 2 if side.verge > side.kerb else side.walk - 0.3)
    things = []
    while z < 70.0:
        if sampler.chance(0.85):
            things.append(_tree(x, z, leaf, sampler, tall=tall * sampler.between(0.8, 1.2)))
        z += step
    return things


def _tree(x: float, z: float, leaf: float, sampler: Sampler, *, tall: float) -> Thing:
    """A tree or bush with leaves of the season."""
    dry, gain = leaf + sampler.around(0.0, 12.0), sampler.between(0.8, 1.15)
    palette = repainted(
        {
            Material.leaf: (78 + dry, 102 + 0.5 * dry, 52 + 0.2 * dry),
            Material.dark_leaf: (48 + 0.7 * dry, 68 + 0.4 * dry, 36 + 0.2 * dry),
        },
        gain,
    )
    sprite = sampler.one_of(trees()) if tall > 2.5 else trees()[5]
    return standing(sprite, "tree", palette, x=x, z=z, size=(tall * 0.75, tall), shadow=0.35)
