"""Quantizers and layers in integers.

Convolutions and products are of centred codes, in float32 where no sum of products can pass 2**24 and in float64
elsewhere, so that every sum is exact; the bias is int32.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals, Sums, pending
from evo_qnas.networks.capture.operations.operation import Role
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

_F = np.float32
# The largest integer up to which float32 has all of them.
_EXACT = 2**24
# A limit this many scales away lies outside every range of codes; beyond it float32 has no half steps.
_FAR = 1e6


def run_module(module: nn.Module, source: Any) -> Centred | Pending:
    """The value that a quantizer or a layer of a quantized network gives.

    Raises:
        NetworkError: it is neither, or a layer whose input is not quantized.
    """
    if isinstance(module, ActivationQuantizer):
        return _round(module, source)
    if isinstance(module, QuantizedLayer) and module.role is Role.EMBEDDING:
        with torch.no_grad():
            rows = module.computed(source, module.quantized_weight().cpu(), None)
        return Pending(Reals(rows.numpy()))
    if isinstance(module, QuantizedLayer) and isinstance(source, Centred):
        return _layer(module, source)
    raise NetworkError("there is neither a quantizer nor a layer with a quantized input")


def _round(quantizer: ActivationQuantizer, source: Any) -> Centred:
    """Codes of a pending result, limited by bits and ReLU."""
    waiting = pending(source)
    scale, zero = _F(quantizer.scale().detach().item()), int(quantizer.zero_point)
    first, last = quantizer.code_range
    low, high = (zero + float(np.rint(np.clip(_F(end) / scale, -_FAR, _FAR))) for end in (waiting.low, waiting.high))
    least, most = (_F(np.clip(np.clip(end, first, last), low, high)) for end in (-np.inf, np.inf))
    codes = np.asarray(waiting.source.codes(scale, zero))
    np.clip(codes, least, most, out=codes)
    codes -= _F(zero)
    integers = torch.from_numpy(codes)
    integers = integers if waiting.shape is None else integers.reshape(waiting.shape)
    return Centred(integers=integers, scale=scale, zero=zero, code_range=(first, last))


def _layer(layer: QuantizedLayer, source: Centred) -> Pending:
    sums = _sums(layer, source)
    scales = (source.scale * layer.scale().detach().numpy(force=True)).astype(_F)
    shape = [1] * sums.ndim
    shape[layer.channel_axis(sums.ndim)] = -1
    if layer.role is Role.TRANSPOSED_CONVOLUTION:
        # Runtimes compute it in floats, whose sums are rounded on the way.
        return Pending(Reals(sums.numpy() * scales.reshape(shape), exact=False))
    return Pending(Sums(sums.numpy(), scales.reshape(shape)))


def _sums(layer: QuantizedLayer, source: Centred) -> Float[torch.Tensor, "..."]:
    """Sums of products of codes and bias, rounded to float32 once: exact in between, see the module."""
    codes, bias = layer.centred_codes().cpu(), layer.bias_codes()
    most = codes.abs().flatten(1).sum(dim=1) * source.largest
    most = most if bias is None else most + bias.cpu().abs()
    kind = torch.float32 if int(most.max()) <= _EXACT else torch.float64
    shift = None if bias is None else bias.to("cpu", kind)
    return layer.computed(source.integers.to(kind), codes.to(kind), shift).float()
