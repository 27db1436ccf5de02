"""Quantizers for weights, activations and biases: integers times scales that learn.

Source: Esser et al. 2020, Learned Step Size Quantization (LSQ), equations 1-3, for the gradient of a scale, there
called step size. We learn the logarithm of a scale's factor instead of the scale, so that a learning rate moves small
and large scales by the same share; an absolute rate makes 4-bit weights beat 8-bit ones.
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import nn

from evo_qnas.networks.acceleration.autograd import applied
from evo_qnas.networks.acceleration.convolutions import convolve
from evo_qnas.networks.acceleration.depthwise import geometry_of
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.capture.operations.registry import operation_of
from evo_qnas.networks.capture.orientation import groups_of, inputs_first
from evo_qnas.networks.quantization.activations import ActivationQuantizer
from evo_qnas.networks.quantization.fake_quantize import INT32, RoundBias, by_output
from evo_qnas.networks.quantization.packing import pack, packed_bytes, unpack
from evo_qnas.networks.quantization.scales import Scale
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME, SCHEMES, Scheme, WeightGrid

__all__ = ["MAX_BITS", "MIN_BITS", "ActivationQuantizer", "QuantizedLayer"]

# One bit has no code between its ends; codes are stored and computed in bytes.
MIN_BITS, MAX_BITS = 2, 8
# A bias may use half of 32 bits' range: what is left takes the sums to which it is added.
_LARGEST_BIAS = 2.0**30


@final
class QuantizedLayer(nn.Module):
    """A convolution, linear layer or embedding with integer weights times scales, and an integer bias.

    Weights are outputs first, also those of transposed convolutions; of an embedding they are its rows. The bias has
    the scale of the sums to which it is added, so that the whole layer is integer arithmetic followed by one
    multiplication per channel.

    Attributes:
        name: name of the operation in the captured graph.
        block: the block it belongs to, "" for the fixed part.
        bits: weight bits, 2..8.
        macs: multiplications per image, of all calls.
        calls: how often the network calls it.
        role: of its operation.
        scheme: how weights become codes.
        active: quantize; otherwise the float layer.
        kept: of a refined layer the mean and standard deviation of each output channel; calibration leaves its codes,
            and fits scales and bias to these. None for a layer that calibration fits as a whole.
    """

    zeros: torch.Tensor

    def __init__(
        self,
        *,
        name: str,
        block: str,
        bits: int,
        operation: object,
        arguments: tuple[object, ...],
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        macs: int,
        scheme: Scheme | None = None,
        weights_of: "QuantizedLayer | None" = None,
    ) -> None:
        super().__init__()
        self.name, self.block, self.bits, self.macs = name, block, bits, macs
        self.scheme = scheme or SCHEMES.get(DEFAULT_SCHEME)
        self.operation, self.arguments = operation, arguments
        known = operation_of(operation)
        self.role, self.calls = Role.CONVOLUTION if known is None else known.role, 1
        # In a list, so that the layer is not registered here a second time.
        self._owner = [] if weights_of is None else [weights_of]
        self.shared = weights_of is not None
        if weights_of is None:
            self.weight = nn.Parameter(weight.detach().clone())
        else:
            self.weight, weights_of.shared = weights_of.weight, True
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        shape = self.scheme.scale_shape(weight.shape[0])
        self.scale: Scale = Scale(shape, self.scheme) if weights_of is None else weights_of.scale
        if weights_of is None:
            self.register_buffer("zeros", torch.zeros(shape, dtype=torch.int64))
        self.active = False
        self.kept: tuple[torch.Tensor, torch.Tensor] | None = None
        self.corrected = torch.zeros(self.channels)
        self._replaced: tuple[torch.Tensor, torch.Tensor] | None = None
        self.geometry = geometry_of(operation, arguments)
        # In a list, so that the producer's quantizer is not registered here a second time.
        self.source: list[ActivationQuantizer] = []

    @property
    def owner(self) -> "QuantizedLayer":
        """The layer under whose name weights and scales are stored: another one where both have the same weights."""
        return self._owner[0] if self._owner else self

    @property
    def zero_point(self) -> torch.Tensor:
        """Zero points of the weights."""
        return self.owner.zeros

    @property
    def channels(self) -> int:
        """Number of channels of the output."""
        return int(self.weight.shape[1 if self.role is Role.EMBEDDING else 0])

    def as_taken(self, weight: torch.Tensor) -> torch.Tensor:
        """Weights, or their codes, as the operation takes them."""
        turned = self.role is Role.TRANSPOSED_CONVOLUTION
        return inputs_first(weight, groups_of(self.arguments)) if turned else weight

    def channel_axis(self, rank: int) -> int:
        """Axis of the channels in an input or output of `rank` axes: the second of maps, the last of linear layers."""
        return 1 if self.weight.ndim > 2 else rank - 1

    def fit(self, importance: Float[torch.Tensor, "out inputs"] | None = None) -> None:
        """Sets the grid of the weights for the present bits, see `Scheme.fit_weights`; an owner's grid stays."""
        if self.owner is self:
            grid = self.scheme.fit_weights(self.weight, self.bits, importance)
            self.scale.set(grid.scale)
            self.zeros = grid.zero_point.to(self.zeros)
        self.active = True

    def keep(
        self,
        scale: Float[torch.Tensor, "*channels"],
        kept: tuple[torch.Tensor, torch.Tensor],
        zero_point: torch.Tensor | None = None,
    ) -> None:
        """Takes a grid (zero points 0 where None) for the present weights, and their outputs' means and deviations."""
        if self.owner is self:
            self.scale.set(scale)
            self.zeros = torch.zeros_like(self.zeros) if zero_point is None else zero_point.to(self.zeros)
        self.active, self.kept, self._replaced = True, kept, None
        self.corrected = torch.zeros_like(self.corrected)

    @property
    def scales_channels(self) -> bool:
        """True where each output channel has a scale of its own, and no other layer has it too."""
        return self.scale.theta.ndim > 0 and not self.shared

    @torch.no_grad()
    def rescale(self, share: Float[torch.Tensor, " out"], shift: Float[torch.Tensor, " out"]) -> None:
        """Multiplies each output channel by its share (> 0) and adds a shift; the codes of the weights stay."""
        if self.scales_channels:  # else every share is 1
            self.weight.mul_(by_output(share, self.weight.ndim))
            self.scale.set(self.scale() * share)
        if self.bias is not None:
            self.bias.mul_(share).add_(shift)

    @torch.no_grad()
    def correct(self, shift: Float[torch.Tensor, " out"] | None) -> None:
        """Adds `shift` to the bias; None takes back what was added before."""
        if self.bias is None:
            return
        if shift is None:
            self.bias.sub_(self.corrected)
            self.corrected = torch.zeros_like(self.bias)
        else:
            self.bias.add_(shift)
            self.corrected = self.corrected + shift

    @torch.no_grad()
    def replace(self, weight: torch.Tensor | None) -> None:
        """Takes other weights in place of the float ones; None takes them back, moved by what was learnt since."""
        if self._replaced is not None:
            floats, given = self._replaced
            self.weight.copy_(torch.where(self.weight == given, floats, floats + self.weight - given))
            self._replaced = None
        if weight is not None:
            self._replaced = self.weight.detach().clone(), weight
            self.weight.copy_(weight)

    def fit_bias(self) -> None:
        """Widens the scales of channels whose weights are so small beside their bias that it would not fit 32 bits."""
        if self.bias is not None and self.source:
            least = self.bias.detach().abs() / (self.source[0].scale().detach() * _LARGEST_BIAS)
            self.scale.set(self.scheme.widened_scale(self.scale().detach(), least))

    def quantized_weight(self) -> torch.Tensor:
        """Weights as integers times scales, same shape as `weight`."""
        grid = WeightGrid(scale=self.scale().detach(), zero_point=self.zero_point)
        return self.scheme.round_weights(self.weight, self.scale.theta, grid, self.bits)

    def bias_scale(self) -> Float[torch.Tensor, "*outputs"]:
        """The scale of the bias, see `Scheme.bias_scale`."""
        with torch.no_grad():
            return self.scheme.bias_scale(self.source[0].scale(), self.scale())

    def quantized_bias(self) -> torch.Tensor | None:
        """Bias as 32-bit integers times `bias_scale`; gradients pass straight through."""
        if self.bias is None:
            return None
        return applied(RoundBias, self.bias, self.bias_scale())

    def centred_codes(self) -> Int[torch.Tensor, "out ..."]:
        """Integer codes of the weights minus their zero points, int64: what multiplies."""
        with torch.no_grad():
            return torch.round(self.quantized_weight() / by_output(self.scale(), self.weight.ndim)).to(torch.int64)

    def weight_codes(self) -> Int[torch.Tensor, "out ..."]:
        """Integer codes of the weights, int64: what is stored."""
        return self.centred_codes() + by_output(self.zero_point, self.weight.ndim)

    def bias_codes(self) -> Int[torch.Tensor, " out"] | None:
        """Integer codes of the bias, int64 within 32 bits; None without a bias."""
        if self.bias is None:
            return None
        with torch.no_grad():
            codes: torch.Tensor = torch.clamp(torch.round(self.bias / self.bias_scale()), -INT32, INT32)
            return codes.to(torch.int64)

    def stored(self) -> dict[str, torch.Tensor]:
        """Packed codes, scales, zero points where there are any, and int32 bias, by the names of stored tensors.

        Weights that belong to another layer are in what that one stores.
        """
        tensors: dict[str, torch.Tensor] = {}
        if self.owner is self:
            tensors[f"{self.name}.codes"] = pack(self.weight_codes(), self.bits)
            tensors[f"{self.name}.scale"] = self.scale().detach()
            if self.scheme.has_weight_zero_points:
                tensors[f"{self.name}.zero_point"] = self.zero_point.to(torch.int8)
        codes = self.bias_codes()
        if codes is not None:
            tensors[f"{self.name}.bias"] = codes.to(torch.int32)
        return tensors

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what `stored` gave; the quantizer of the input, and the owner, must have their own already.

        Raises:
            RuntimeError: a tensor is of a layer of another shape.
        """
        self._check_sizes(tensors)
        self._replaced = None
        if self.owner is self:
            scale = tensors[f"{self.name}.scale"]
            codes = unpack(tensors[f"{self.name}.codes"], self.bits, tuple(self.weight.shape))
            self.scale.set(scale)
            if self.scheme.has_weight_zero_points:
                self.zeros = tensors[f"{self.name}.zero_point"].to(self.zeros)
                codes = codes - by_output(self.zeros, self.weight.ndim)
            self.weight.data = codes.to(torch.float32) * by_output(scale, self.weight.ndim)
        self.active = True
        if self.bias is not None:
            self.bias.data = tensors[f"{self.name}.bias"].to(torch.float32) * self.bias_scale()

    def _check_sizes(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Refuses stored tensors that are shorter or longer than those of this layer."""
        shape, wanted = tuple(self.weight.shape), dict[str, tuple[int, ...]]()
        if self.owner is self:
            wanted["codes"] = (packed_bytes(self.weight.numel(), self.bits),)
            wanted["scale"] = tuple(self.scheme.scale_shape(shape[0]))
        if self.bias is not None:
            wanted["bias"] = tuple(self.bias.shape)
        for name, sizes in wanted.items():
            given = tuple(tensors[f"{self.name}.{name}"].shape)
            if given != sizes:
                raise RuntimeError(f"{self.name}.{name} has the shape {given}, a layer of {shape} needs {sizes}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The layer's output, float32."""
        weight: torch.Tensor = self.weight
        bias: torch.Tensor | None = self.bias
        if self.active:
            weight = self.quantized_weight()
            bias = self.quantized_bias() if self.source and self.source[0].active else self.bias
        if self.geometry is not None:
            return convolve(x, weight, bias, self.geometry)
        return self.computed(x, weight, bias)

    def computed(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """The operation itself on an input, weights that are outputs first, and a bias."""
        operation: Any = self.operation
        if self.role is Role.EMBEDDING:
            chosen: torch.Tensor = operation(weight, x, *self.arguments)
            return chosen
        output: torch.Tensor = operation(x, self.as_taken(weight), bias, *self.arguments)
        return output
