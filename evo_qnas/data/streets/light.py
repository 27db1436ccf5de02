"""Weather and time of day: colours of sky, sun and haze."""

from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Float

from evo_qnas.data.streets.sampler import Number, Sampler

Colour = Float[np.ndarray, "3"]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """The light of a scene.

    Attributes:
        zenith: colour of the sky above.
        haze: colour of the sky at the horizon and of what is far away.
        clouds: how much clouds stand out.
        sides: brightness of planes that face right (on the left of the street) and left.
        sun: strength of shadows, 0 where the sky is covered.
        shadow: x beyond which houses shade the ground, on the side named by its sign; 0 for none.
        tint: gain of each channel.
        thickness: depth in metres at which half of the light is haze.
        noise: strength of the sensor's noise.
    """

    zenith: Colour
    haze: Colour
    clouds: float
    sides: tuple[float, float]
    sun: float
    shadow: float
    tint: Colour
    thickness: float
    noise: float


def colour(red: Number, green: Number, blue: Number) -> Colour:
    """A colour as float32."""
    return np.array([red, green, blue], dtype=np.float32)


def draw_light(sampler: Sampler) -> Light:
    """Sun, cloud or dusk."""
    sunny, dusk = sampler.chance(0.45), sampler.chance(0.15)
    grey = sampler.between(150, 235)
    exposure = sampler.between(0.35, 0.65) if dusk else sampler.between(0.65, 1.15)
    warm = sampler.around(0.0, 0.12)
    blue = sampler.between(0.5, 1.0) if sunny else sampler.between(0.0, 0.15)
    bright = sampler.chance(0.5)
    return Light(
        zenith=colour(grey - 110 * blue, grey - 55 * blue, grey + 15 * blue),
        haze=colour(grey + 12, grey + 14, grey + 16),
        clouds=sampler.between(5, 40),
        sides=((1.15, 0.72) if bright else (0.72, 1.15)) if sunny and not dusk else (0.97, 0.93),
        sun=sampler.between(0.35, 0.6) if sunny and not dusk else 0.0,
        shadow=(1 if bright else -1) * sampler.between(0.5, 7.0) if sampler.chance(0.7) else 0.0,
        tint=exposure * colour(1 + warm, 1.0, 1 - warm),
        thickness=sampler.between(35, 90) if sampler.chance(0.15) else sampler.between(120, 420),
        noise=sampler.between(2.0, 14.0) if dusk else sampler.between(1.0, 7.0),
    )
