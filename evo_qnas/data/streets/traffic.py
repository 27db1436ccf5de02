"""Vehicles that drive and park on the road."""

from evo_qnas.data.streets.layout import Layout, Side
from evo_qnas.data.streets.light import Light
from evo_qnas.data.streets.painting import Thing, dressed, standing, vehicle
from evo_qnas.data.streets.sampler import Sampler
from evo_qnas.data.streets.vehicles import Vehicle, two_wheelers, vehicles

# Shares of the kinds of vehicle, by judgement: no counts of real streets.
_MIX = (("car", 0.6), ("truck", 0.1), ("bus", 0.08), ("rider on motorcycle", 0.11), ("rider on bicycle", 0.11))
# Metres; further ones would be two or three pixels high at the default size.
_FARTHEST = 75.0


def draw_traffic(layout: Layout, sampler: Sampler, light: Light) -> list[Thing]:
    """Vehicles in their lanes, on tracks, at the kerb, and in the side street."""
    busy = sampler.between(0.1, 0.75)
    things = _parked(layout.right, 1, sampler, light) + _parked(layout.left, -1, sampler, light)
    for lane in layout.lanes:
        start = sampler.between(5.5, 14.0) if lane == 0.0 or abs(lane) < 1.0 else sampler.between(-2.0, 9.0)
        things += _lane(layout, lane, start, sampler, light, busy=busy, ahead=True)
    for lane in layout.oncoming:
        things += _lane(layout, lane, sampler.between(-2.0, 10.0), sampler, light, busy=busy, ahead=False)
    if layout.crossing is not None and sampler.chance(0.5):
        things.append(_crossing(layout, layout.crossing, sampler))
    return things


def _pick(sampler: Sampler) -> str:
    """A kind of vehicle by how often it is met."""
    drawn = sampler.share()
    for kind, share in _MIX:
        drawn -= share
        if drawn < 0:
            return kind
    return "car"


def _lane(
    layout: Layout, lane: float, start: float, sampler: Sampler, light: Light, *, busy: float, ahead: bool
) -> list[Thing]:
    """Vehicles one behind the other in one lane."""
    things: list[Thing] = []
    z = start
    while z < min(_FARTHEST, layout.end - 15):
        z += sampler.between(0.0, 22.0) * (1.1 - busy)
        if not sampler.chance(busy):
            z += sampler.between(8.0, 25.0)
            continue
        kind = "train" if layout.rails == lane and sampler.chance(0.6) else _pick(sampler)
        x = lane + sampler.around(0.0, 0.35)
        if kind in two_wheelers():
            things.append(_ridden(kind, x + sampler.between(-0.8, 0.8), z, sampler))
            z += 4.0
            continue
        chosen: Vehicle = sampler.one_of(vehicles()[kind])
        things.append(vehicle(chosen, sampler, light, x=x, z=z, ahead=ahead))
        z += chosen.size[2] + sampler.between(2.0, 6.0)
    return things


def _parked(side: Side, sign: int, sampler: Sampler, light: Light) -> list[Thing]:
    """A row of parked vehicles with gaps."""
    things: list[Thing] = []
    if not side.parking:
        return things
    full, ahead, z = sampler.between(0.2, 0.95), sampler.chance(0.8 if sign > 0 else 0.35), sampler.between(-3.0, 2.0)
    while z < _FARTHEST * 0.8:
        kind = "car" if sampler.chance(0.94) else sampler.one_of(("truck", "motorcycle", "motorcycle"))
        x = sign * (side.kerb - side.parking / 2 + sampler.around(0.0, 0.15))
        if not sampler.chance(full):
            z += sampler.between(3.0, 7.0)
        elif kind == "motorcycle":
            things += [_ridden(kind, x, z, sampler)] if z > 1.5 else []
            z += 3.0
        else:
            chosen: Vehicle = sampler.one_of(vehicles()[kind])
            things.append(vehicle(chosen, sampler, light, x=x, z=z, ahead=ahead))
            z += chosen.size[2] + sampler.between(0.6, 1.6)
    return things


def _ridden(kind: str, x: float, z: float, sampler: Sampler) -> Thing:
    """A bicycle or motorcycle; seen from behind or from the front where it is ridden ahead."""
    looks = two_wheelers()[kind]
    sprite, size = looks[-1] if kind.startswith("rider") and sampler.chance(0.75) else sampler.one_of(looks)
    return standing(sprite, kind, dressed(sampler), x=x, z=z, size=size, shadow=0.35)


def _crossing(layout: Layout, crossing: tuple[float, float], sampler: Sampler) -> Thing:
    """Something that drives across."""
    z = sampler.between(crossing[0] + 1.0, crossing[1] - 1.0)
    x = sampler.between(-layout.left.walk - 6.0, layout.right.walk + 6.0)
    if sampler.chance(0.35):
        return _ridden(sampler.one_of(("rider on bicycle", "rider on motorcycle")), x, z, sampler)
    kind = sampler.one_of(("car", "car", "car", "truck", "bus"))
    chosen: Vehicle = sampler.one_of(vehicles()[kind])
    side = chosen.side if sampler.chance(0.5) else chosen.side[:, ::-1]
    return standing(side, kind, dressed(sampler), x=x, z=z, size=(chosen.size[2], chosen.size[1]), shadow=0.4)
