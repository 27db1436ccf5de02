"""Weights rounded to the nearest code, biases corrected."""

from collections.abc import Sequence
from typing import final

from torch import nn

from evo_qnas.networks.capture.exporting import Example
from evo_qnas.networks.quantization.correction import correct_biases, matched_moments, observe
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import Recipe, Rounding


@final
class Nearest(Rounding):
    """Every weight becomes its nearest code on the grid of least weighted squared error.

    Errors of weights count by their inputs' mean square, and biases take up the mean error that is left, both measured
    on the first batch.
    """

    about = "each weight becomes its nearest code; the default"

    def fit(
        self, network: nn.Module, layers: Sequence[QuantizedLayer], batches: Sequence[Example], recipe: Recipe
    ) -> None:
        """See `Rounding.fit`."""
        free = [layer for layer in layers if layer.kept is None]
        with matched_moments(layers, for_good=False):
            statistics = observe(network, free, batches[0])
        for layer, of_layer in zip(free, statistics, strict=True):
            layer.fit(of_layer.squares if recipe.weighted_scales else None)
        if not recipe.corrected_biases:
            free, statistics = [], []
        with matched_moments(layers, for_good=True):
            correct_biases(network, free, statistics, batches[0])
