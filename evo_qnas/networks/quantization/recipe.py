"""What calibration does to weights before they become codes, as one value, and the registry of ways to round them."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.registry import Registry

__all__ = ["DEFAULT_ROUNDING", "PLAIN", "ROUNDINGS", "Recipe", "Rounding"]

DEFAULT_ROUNDING = "nearest"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How calibration finds the codes of weights.

    Attributes:
        rounding: name of an entry of `ROUNDINGS`.
        equalized: the channels between two layers are rescaled before, see `equalize`.
        weighted_scales: errors of weights count by their inputs' mean square where scales are chosen.
        corrected_biases: biases take up the mean error that quantized weights leave.
    """

    rounding: str = DEFAULT_ROUNDING
    equalized: bool = False
    weighted_scales: bool = True
    corrected_biases: bool = True

    def __post_init__(self) -> None:
        ROUNDINGS.require(self.rounding)


class Rounding(ABC):
    """A way to find grids, codes and biases of a network's layers after training; entry of the registry `ROUNDINGS`.

    It has no state, and the same layers and batches give the same codes.

    Attributes:
        about: one line for `evo-qnas list roundings`.
    """

    about: str

    @abstractmethod
    def fit(
        self, network: nn.Module, layers: Sequence[QuantizedLayer], batches: Sequence[Example], recipe: Recipe
    ) -> None:
        """Makes all layers active, with grids, weights and biases for their present bits.

        Layers with `kept` moments were refined: they are active already, their codes stay, and their outputs keep these
        moments, see `matched_moments`.

        Args:
            network: runs the layers; activations are in floats, as are the layers that are not active.
            layers: all of the network, each once, in the order of the graph.
            batches: of the network's inputs.
            recipe: the rest of the recipe.
        """


ROUNDINGS: Registry[Rounding] = Registry(
    "rounding",
    "evo_qnas.roundings",
    Rounding,
    {
        DEFAULT_ROUNDING: "evo_qnas.networks.quantization.nearest:Nearest",
        "adaptive": "evo_qnas.networks.quantization.adaptive:Adaptive",
        "compensated": "evo_qnas.networks.quantization.compensated:Compensated",
    },
    error=NetworkError,
)

PLAIN = Recipe()
