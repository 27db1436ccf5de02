"""A pinhole camera above a flat street that runs straight ahead."""

from dataclasses import dataclass
from typing import final

from evo_qnas.data.streets.sampler import Sampler


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Metres to pixels: x to the right of the camera, y above the ground, z ahead; rows count from the top.

    Attributes:
        height: rows of the image.
        width: columns of the image.
        focal: focal length, pixels.
        centre: column of the vanishing point.
        horizon: row of the horizon.
        above: height of the camera above the ground, metres.
    """

    height: int
    width: int
    focal: float
    centre: float
    horizon: float
    above: float

    def column(self, x: float, z: float) -> float:
        """Column of the image that shows x at depth z."""
        return self.centre + self.focal * x / z

    def row(self, y: float, z: float) -> float:
        """Row of the image that shows height y at depth z."""
        return self.horizon + self.focal * (self.above - y) / z


def draw_camera(sampler: Sampler, height: int, width: int) -> Camera:
    """A camera as behind a windscreen, looking a little to one side."""
    return Camera(
        height=height,
        width=width,
        focal=width * sampler.between(0.75, 1.05),
        centre=width * sampler.around(0.5, 0.16),
        horizon=height * sampler.around(0.44, 0.07),
        above=sampler.between(1.15, 1.7),
    )
