"""What stands and walks beside the road."""

import numpy as np

from evo_qnas.data.streets.bystanders import back_of_signal, people, post, signal, signs, street_lamp, trees
from evo_qnas.data.streets.dice import Dice
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.materials import Material
from evo_qnas.data.streets.painting import Thing, dressed, repainted, standing
from evo_qnas.data.streets.vehicles import two_wheelers

_FARTHEST = 55.0


def draw_walkways(layout: Layout, dice: Dice) -> list[Thing]:
    """People, bicycles, lamps, signs, traffic lights and trees on both sides."""
    crowd = dice.whole(0, 5) if dice.chance(0.8) else dice.whole(5, 12)
    things: list[Thing] = []
    leaf = dice.between(-15, 40)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        things += _people(side, sign, crowd, dice)
        things += _lamps(side, sign, dice) + _signs(side, sign, dice) + _row_of_trees(side, sign, leaf, dice)
        things += _bicycles(side, sign, dice)
    if layout.crossing is not None:
        things += _signals(layout, layout.crossing[0], dice)
        things += _crossing_people(layout, layout.crossing[0] - 2.7, dice)
    return things


def draw_gardens(layout: Layout, dice: Dice) -> list[Thing]:
    """Trees and bushes between sidewalk and houses."""
    things: list[Thing] = []
    leaf = dice.between(-15, 40)
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        if side.front - side.walk < 1.5:
            continue
        for _ in range(dice.whole(0, 6)):
            x, z = sign * dice.between(side.walk + 0.5, side.front), dice.between(5.0, layout.end * 0.8)
            things.append(_tree(x, z, leaf, dice, tall=dice.between(1.2, 7.0)))
    return things


def _someone(x: float, z: float, dice: Dice) -> Thing:
    """A person, now and then a child."""
    tall = dice.between(1.0, 1.4) if dice.chance(0.12) else dice.between(1.55, 1.9)
    return standing(dice.one_of(people()), "person", dressed(dice), x=x, z=z, size=(tall * 0.45, tall), shadow=0.3)


def _people(side: Side, sign: int, crowd: int, dice: Dice) -> list[Thing]:
    """People on the sidewalk, some in groups."""
    things = []
    for _ in range(crowd):
        x, z = dice.between(side.verge + 0.3, side.walk - 0.2), 3.5 + _FARTHEST * dice.share() * dice.share()
        group = dice.whole(1, 3) if dice.chance(0.3) else 1
        things += [_someone(sign * (x + 0.6 * place), z + dice.around(0.0, 0.5), dice) for place in range(group)]
    return things


def _crossing_people(layout: Layout, z: float, dice: Dice) -> list[Thing]:
    """People on the zebra crossing."""
    if z < 4.0 or not dice.chance(0.5):
        return []
    return [
        _someone(dice.between(-layout.left.kerb, layout.right.kerb), z + dice.around(0.0, 1.2), dice)
        for _ in range(dice.whole(1, 4))
    ]


def _bicycles(side: Side, sign: int, dice: Dice) -> list[Thing]:
    """Parked bicycles, often several in a row, now and then a motorcycle."""
    if not dice.chance(0.4):
        return []
    x = sign * (dice.between(side.verge + 0.2, side.verge + 0.8) if dice.chance(0.5) else side.walk - 0.4)
    z = dice.between(4.0, 30.0)
    things = []
    for number in range(dice.whole(1, 4)):
        kind = "bicycle" if dice.chance(0.8) else "motorcycle"
        sprite, size = dice.one_of(two_wheelers()[kind])
        things.append(standing(sprite, kind, dressed(dice), x=x, z=z + 1.1 * number, size=size, shadow=0.3))
    return things


def _pole(dice: Dice, *, x: float, z: float, tall: float, wide: float = 0.1) -> Thing:
    grey = dice.between(45, 165)
    return standing(
        post(), "post", repainted({Material.pole: (grey, grey, grey)}), x=x, z=z, size=(wide, tall), shadow=0.2
    )


def _lamps(side: Side, sign: int, dice: Dice) -> list[Thing]:
    """Street lamps at even distances, their arms over the road; or plain poles."""
    if not dice.chance(0.65):
        return []
    step, z, tall, grey = dice.between(14, 32), dice.between(3, 20), dice.between(5.0, 9.0), dice.between(45, 160)
    sprite = street_lamp() if sign < 0 else np.ascontiguousarray(street_lamp()[:, ::-1])
    palette = repainted({Material.pole: (grey, grey, grey + 2)})
    plain, things = dice.chance(0.35), []
    while z < 90.0:
        x = sign * (side.kerb + 0.45)
        if plain:
            things.append(_pole(dice, x=x, z=z, tall=tall, wide=0.22))
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


def _signs(side: Side, sign: int, dice: Dice) -> list[Thing]:
    """Traffic signs on their poles; some turn their grey back."""
    things: list[Thing] = []
    for _ in range(dice.whole(0, 3)):
        x, z = sign * (side.kerb + dice.between(0.3, 0.7)), 4.0 + 40.0 * dice.share() * dice.share()
        low, wide = dice.between(1.9, 2.6), dice.between(0.55, 0.85)
        sprite = dice.one_of(signs())
        high = wide * sprite.shape[0] / sprite.shape[1]
        face, mark = dice.one_of(_FACES)
        if dice.chance(0.15):
            face = mark = (120, 122, 122)
        palette = repainted({Material.face: face, Material.mark: mark}, dice.between(0.75, 1.1))
        things.append(_pole(dice, x=x, z=z + 0.02, tall=low + 0.1))
        things.append(standing(sprite, "post", palette, x=x, z=z, y=low, size=(wide, high)))
    return things


_LAMPS = (
    {Material.red: (250.0, 60.0, 45.0), Material.amber: (60.0, 50.0, 25.0), Material.green: (25.0, 50.0, 40.0)},
    {Material.red: (70.0, 25.0, 25.0), Material.amber: (60.0, 50.0, 25.0), Material.green: (70.0, 240.0, 170.0)},
    {Material.red: (70.0, 25.0, 25.0), Material.amber: (250.0, 190.0, 60.0), Material.green: (25.0, 50.0, 40.0)},
)


def _signals(layout: Layout, near: float, dice: Dice) -> list[Thing]:
    """Traffic lights before a side street."""
    if not dice.chance(0.7):
        return []
    palette = repainted(dice.one_of(_LAMPS))
    things: list[Thing] = []
    for side, sign in ((layout.left, -1), (layout.right, 1)):
        x, low = sign * (side.kerb + 0.4), dice.between(2.1, 2.7)
        z = near - dice.between(0.5, 2.0)
        sprite = signal() if sign > 0 or dice.chance(0.5) else back_of_signal()
        things.append(_pole(dice, x=x, z=z + 0.02, tall=low + 0.3, wide=0.14))
        things.append(standing(sprite, "post", palette, x=x, z=z, y=low, size=(0.36, 0.95)))
    if dice.chance(0.35):
        x = dice.between(-0.5, 1.0)
        things.append(standing(signal(), "post", palette, x=x, z=near, y=dice.between(4.6, 5.4), size=(0.4, 1.05)))
        right = layout.right.kerb + 0.4
        things.append(
            standing(post(), "post", repainted({}), x=(x + right) / 2, z=near + 0.03, y=5.6, size=(right - x, 0.14))
        )
        things.append(_pole(dice, x=right, z=near + 0.03, tall=5.7, wide=0.18))
    return things


def _row_of_trees(side: Side, sign: int, leaf: float, dice: Dice) -> list[Thing]:
    """Trees at even distances beside the road."""
    if not dice.chance(0.4):
        return []
    step, z, tall = dice.between(6.0, 14.0), dice.between(2.5, 14.0), dice.between(4.0, 10.0)
    x = sign * ((side.kerb + side.verge) / 2 if side.verge > side.kerb else side.walk - 0.3)
    things = []
    while z < 70.0:
        if dice.chance(0.85):
            things.append(_tree(x, z, leaf, dice, tall=tall * dice.between(0.8, 1.2)))
        z += step
    return things


def _tree(x: float, z: float, leaf: float, dice: Dice, *, tall: float) -> Thing:
    """A tree or bush with leaves of the season."""
    dry, gain = leaf + dice.around(0.0, 12.0), dice.between(0.8, 1.15)
    palette = repainted(
        {
            Material.leaf: (78 + dry, 102 + 0.5 * dry, 52 + 0.2 * dry),
            Material.dark_leaf: (48 + 0.7 * dry, 68 + 0.4 * dry, 36 + 0.2 * dry),
        },
        gain,
    )
    sprite = dice.one_of(trees()) if tall > 2.5 else trees()[5]
    return standing(sprite, "tree", palette, x=x, z=z, size=(tall * 0.75, tall), shadow=0.35)
