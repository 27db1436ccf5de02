"""The section `[quantization]` of a problem card."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_serializer

from evo_qnas.cards import Card
from evo_qnas.networks.quantization.recipe import DEFAULT_ROUNDING, ROUNDINGS, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES

WeightBits = Annotated[int, Field(ge=2, le=8)]
ActivationBits = Annotated[int, Field(ge=4, le=8)]


class QuantizationCard(Card):
    """`[quantization]`: the bit-widths of the search and of the fixed part, and how weights become codes.

    Attributes:
        scheme: how numbers become codes, one of `networks.quantization.SCHEMES`.
        rounding: how calibration finds the codes of weights, one of `networks.quantization.ROUNDINGS`; `compensated`
            pays at few bits.
        equalized: rescale the channels between two layers of a block first, where only a ReLU or nothing is between.
        weight_bits: bit-widths of weights that the search may choose, in bits.
        activation_bits: bit-widths of activations that the search may choose, in bits.
        float_bits: 16, 32 or both: a block may be computed in floats too, its parameters stored at so many bits.
        fixed_weight_bits: bit-width of the weights outside the blocks, in bits.
        fixed_activation_bits: bit-width of the activations outside the blocks, in bits.
        keep_float: names of submodules outside the blocks, with `*` for any text, that stay in floats.
        calibration_images: train images from which ranges of activations are taken.
    """

    scheme: Annotated[str, AfterValidator(SCHEMES.require)] = DEFAULT_SCHEME
    rounding: Annotated[str, AfterValidator(ROUNDINGS.require)] = DEFAULT_ROUNDING
    equalized: bool = False
    weight_bits: Annotated[list[WeightBits], Field(min_length=1)]
    activation_bits: Annotated[list[ActivationBits], Field(min_length=1)]
    fixed_weight_bits: WeightBits = 8
    fixed_activation_bits: ActivationBits = 8
    float_bits: list[Literal[16, 32]] = []
    keep_float: list[str] = []
    calibration_images: Annotated[int, Field(ge=2, le=10**9)] = 256

    @property
    def recipe(self) -> Recipe:
        """How calibration finds the codes of weights."""
        return Recipe(rounding=self.rounding, equalized=self.equalized)

    @field_validator("weight_bits", "activation_bits", "float_bits")
    @classmethod
    def _ordered(cls, bits: list[int]) -> list[int]:
        return sorted(set(bits))

    @model_serializer(mode="wrap")
    def _without_defaults(self, dumped: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """A run that leaves these as they are depends on nothing about them."""
        content, plain = dumped(self), {"float_bits": [], "rounding": DEFAULT_ROUNDING, "equalized": False}
        return {key: value for key, value in content.items() if key not in plain or value != plain[key]}
