"""What drives and parks on the road."""

from evo_qnas.data.streets.dice import Dice
from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.light import Light
from evo_qnas.data.streets.painting import Thing, dressed, standing, vehicle
from evo_qnas.data.streets.vehicles import Vehicle, two_wheelers, vehicles

_MIX = (("car", 0.6), ("truck", 0.1), ("bus", 0.08), ("rider on motorcycle", 0.11), ("rider on bicycle", 0.11))
_FARTHEST = 75.0


def draw_traffic(layout: Layout, dice: Dice, light: Light) -> list[Thing]:
    """Vehicles in their lanes, on tracks, at the kerb, and in the side street."""
    busy = dice.between(0.1, 0.75)
    things = _parked(layout.right, 1, dice, light) + _parked(layout.left, -1, dice, light)
    for lane in layout.lanes:
        start = dice.between(5.5, 14.0) if lane == 0.0 or abs(lane) < 1.0 else dice.between(-2.0, 9.0)
        things += _lane(layout, lane, start, dice, light, busy=busy, ahead=True)
    for lane in layout.oncoming:
        things += _lane(layout, lane, dice.between(-2.0, 10.0), dice, light, busy=busy, ahead=False)
    if layout.crossing is not None and dice.chance(0.5):
        things.append(_crossing(layout, layout.crossing, dice))
    return things


def _pick(dice: Dice) -> str:
    """A kind of vehicle by how often it is met."""
    drawn = dice.share()
    for kind, share in _MIX:
        drawn -= share
        if drawn < 0:
            return kind
    return "car"


def _lane(
    layout: Layout, lane: float, start: float, dice: Dice, light: Light, *, busy: float, ahead: bool
) -> list[Thing]:
    """Vehicles one behind the other in one lane."""
    things: list[Thing] = []
    z = start
    while z < min(_FARTHEST, layout.end - 15):
        z += dice.between(0.0, 22.0) * (1.1 - busy)
        if not dice.chance(busy):
            z += dice.between(8.0, 25.0)
            continue
        kind = "train" if layout.rails == lane and dice.chance(0.6) else _pick(dice)
        x = lane + dice.around(0.0, 0.35)
        if kind in two_wheelers():
            things.append(_ridden(kind, x + dice.between(-0.8, 0.8), z, dice))
            z += 4.0
            continue
        chosen: Vehicle = dice.one_of(vehicles()[kind])
        things.append(vehicle(chosen, dice, light, x=x, z=z, ahead=ahead))
        z += chosen.size[2] + dice.between(2.0, 6.0)
    return things


def _parked(side: Side, sign: int, dice: Dice, light: Light) -> list[Thing]:
    """A row of parked vehicles with gaps."""
    things: list[Thing] = []
    if not side.parking:
        return things
    full, ahead, z = dice.between(0.2, 0.95), dice.chance(0.8 if sign > 0 else 0.35), dice.between(-3.0, 2.0)
    while z < _FARTHEST * 0.8:
        kind = "car" if dice.chance(0.94) else dice.one_of(("truck", "motorcycle", "motorcycle"))
        x = sign * (side.kerb - side.parking / 2 + dice.around(0.0, 0.15))
        if not dice.chance(full):
            z += dice.between(3.0, 7.0)
        elif kind == "motorcycle":
            things += [_ridden(kind, x, z, dice)] if z > 1.5 else []
            z += 3.0
        else:
            chosen: Vehicle = dice.one_of(vehicles()[kind])
            things.append(vehicle(chosen, dice, light, x=x, z=z, ahead=ahead))
            z += chosen.size[2] + dice.between(0.6, 1.6)
    return things


def _ridden(kind: str, x: float, z: float, dice: Dice) -> Thing:
    """A bicycle or motorcycle; seen from behind or from the front where it is ridden ahead."""
    looks = two_wheelers()[kind]
    sprite, size = looks[-1] if kind.startswith("rider") and dice.chance(0.75) else dice.one_of(looks)
    return standing(sprite, kind, dressed(dice), x=x, z=z, size=size, shadow=0.35)


def _crossing(layout: Layout, crossing: tuple[float, float], dice: Dice) -> Thing:
    """Something that drives across."""
    z = dice.between(crossing[0] + 1.0, crossing[1] - 1.0)
    x = dice.between(-layout.left.walk - 6.0, layout.right.walk + 6.0)
    if dice.chance(0.35):
        return _ridden(dice.one_of(("rider on bicycle", "rider on motorcycle")), x, z, dice)
    kind = dice.one_of(("car", "car", "car", "truck", "bus"))
    chosen: Vehicle = dice.one_of(vehicles()[kind])
    side = chosen.side if dice.chance(0.5) else chosen.side[:, ::-1]
    return standing(side, kind, dressed(dice), x=x, z=z, size=(chosen.size[2], chosen.size[1]), shadow=0.4)
