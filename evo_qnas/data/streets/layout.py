"""Layout of a street: width and position of its parts, and the side street that crosses. Metres throughout."""

from dataclasses import dataclass
from typing import final

from evo_qnas.data.streets.sampler import Sampler


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of the street, from the road outwards; distances from the camera, always positive.

    Attributes:
        kerb: where the road ends.
        verge: where a strip of grass beside the road ends; `kerb` where there is none.
        walk: where the sidewalk ends.
        front: where houses stand; between `walk` and `front` lie gardens.
        parking: width of the strip of the road where cars park, 0 for none.
    """

    kerb: float
    verge: float
    walk: float
    front: float
    parking: float


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A street along which the camera drives on the right.

    Attributes:
        left: the left side.
        right: the right side.
        lanes: middles of the lanes that go ahead, x, the camera's own is 0.
        oncoming: middles of the lanes that come towards the camera.
        lane: width of a lane.
        rails: x of the middle of tram tracks, None without.
        crossing: (near, far) depth of a side street, None without.
        end: depth at which the view is closed.
    """

    left: Side
    right: Side
    lanes: tuple[float, ...]
    oncoming: tuple[float, ...]
    lane: float
    rails: float | None
    crossing: tuple[float, float] | None
    end: float


def draw_layout(sampler: Sampler) -> Layout:
    """A street: narrow between houses, or wide with several lanes."""
    wide = sampler.chance(0.35)
    lane = sampler.between(2.9, 3.5)
    off = sampler.around(0.0, 0.5)
    ahead = 2 if wide and sampler.chance(0.7) else 1
    back = 0 if not wide and sampler.chance(0.2) else ahead
    own = sampler.whole(0, ahead - 1)
    lanes = tuple((number - own) * lane - off for number in range(ahead))
    oncoming = tuple(lanes[0] - number * lane for number in range(1, back + 1))
    right = _side(sampler, lanes[-1] + lane / 2, wide=wide)
    left = _side(sampler, -(oncoming[-1] if oncoming else lanes[0]) + lane / 2, wide=wide)
    crossing = sampler.between(9.0, 45.0) if sampler.chance(0.4) else None
    return Layout(
        left=left,
        right=right,
        lanes=lanes,
        oncoming=oncoming,
        lane=lane,
        rails=(oncoming or lanes)[0] if wide and sampler.chance(0.7) else None,
        crossing=None if crossing is None else (crossing, crossing + sampler.between(6.0, 12.0)),
        end=sampler.between(55.0, 160.0),
    )


def _side(sampler: Sampler, edge: float, *, wide: bool) -> Side:
    """A side whose driving lanes end at `edge`."""
    parking = sampler.between(2.0, 2.4) if sampler.chance(0.55) else 0.0
    kerb = edge + parking + sampler.between(0.1, 0.5)
    verge = kerb + (sampler.between(1.0, 3.0) if sampler.chance(0.3) else 0.0)
    walk = verge + sampler.between(1.6, 5.0 if wide else 3.4)
    front = walk + (sampler.between(1.5, 9.0) if sampler.chance(0.45) else 0.05)
    return Side(kerb=kerb, verge=verge, walk=walk, front=front, parking=parking)
