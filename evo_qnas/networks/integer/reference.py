"""A quantized network in integers: the oracle for runtimes.

Written from the definition of each integer kernel of ONNX Runtime: convolutions of centred codes, in float32 where no
sum of products can pass 2**24 and in float64 elsewhere, so that every sum is exact; an int32 bias; one float32
multiplication per output channel, rounded half to even; the zero point and limits last.

A rounding that falls the other way once in a million values reaches most values twenty layers later, so a network
computed in floats (`QuantizedNetwork.forward`, made for training) is not what a device computes. `InIntegers` is, and
what is validated is computed with it.

Source: ONNX operators QLinearConv and QuantizeLinear; ONNX Runtime's kernels QLinearAdd, QLinearGlobalAveragePool and
QLinearConcat for the order of their float32 operations on x86-64 with AVX2 and later.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.graph import ACTIVATIONS, ATEN, MOVES, arguments_of, last_upsampling
from evo_qnas.networks.integer.upsampling import bilinear
from evo_qnas.networks.quantization.quantize import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

Array = Shaped[np.ndarray, "..."]
_F = np.float32
_EXACT = 2**24


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Centred:
    """Codes minus their zero point, exact integers in float32, and their quantizer."""

    integers: torch.Tensor
    quantizer: ActivationQuantizer

    @property
    def step(self) -> np.float32:
        """The step, float32."""
        return _F(self.quantizer.scale().detach().item())

    @property
    def zero(self) -> int:
        """The zero point."""
        return int(self.quantizer.zero_point)


class Unrounded(ABC):
    """What a kernel has computed before it rounds to the codes of the quantizer behind it."""

    @abstractmethod
    def codes(self, step: np.float32, zero: int) -> Array:
        """Unlimited codes, whole numbers in float32, for an output step and zero point."""


@final
@dataclass(frozen=True, slots=True)
class Reals(Unrounded):
    """Floats: QuantizeLinear."""

    values: Array

    def codes(self, step: np.float32, zero: int) -> Array:
        """`round(x / step) + zero`."""
        return _rounded(self.values.astype(_F, copy=False) / step) + _F(zero)


@final
@dataclass(frozen=True, slots=True)
class Sums(Unrounded):
    """Integer sums with a step per channel: QLinearConv and QGemm."""

    integers: Array
    steps: Array

    def codes(self, step: np.float32, zero: int) -> Array:
        """`round(float32(sum) * (steps / step)) + zero`."""
        return _rounded(self.integers.astype(_F, copy=False) * (self.steps / step)) + _F(zero)


@final
@dataclass(frozen=True, slots=True)
class Mean(Unrounded):
    """Integer sums over whole maps: QLinearGlobalAveragePool."""

    integers: Array
    step: np.float32
    count: int

    def codes(self, step: np.float32, zero: int) -> Array:
        """`round(float32(sum) * (input step / (step * count))) + zero`."""
        factor = self.step / (step * _F(self.count))
        return _rounded(self.integers.astype(_F) * factor) + _F(zero)


@final
@dataclass(frozen=True, slots=True)
class Total(Unrounded):
    """Two tensors of codes with different steps: QLinearAdd."""

    first: Centred
    second: Centred

    def codes(self, step: np.float32, zero: int) -> Array:
        """`round(a * ra + (b * rb + fixed))` with `fixed = zero - (za * ra + zb * rb)`; additions are fused."""
        one, two = _F(self.first.step / step), _F(self.second.step / step)
        fixed = _F(zero) - _fused(one, self.first.zero, two * _F(self.second.zero))
        inner = _fused(two, _codes(self.second), fixed)
        return _rounded(_fused(one, _codes(self.first), inner))


@final
@dataclass(frozen=True, slots=True)
class Joined(Unrounded):
    """Tensors of codes one behind the other: QLinearConcat."""

    parts: tuple[Centred, ...]
    axis: int

    def codes(self, step: np.float32, zero: int) -> Array:
        """Each part to floats and back; codes of the very same step and zero point stay."""
        found = []
        for part in self.parts:
            floats = part.integers.numpy() * part.step
            same = part.step == step and part.zero == zero
            found.append(_codes(part) if same else Reals(floats).codes(step, zero))
        return np.concatenate(found, axis=self.axis)


@final
@dataclass(frozen=True, slots=True)
class Pending:
    """An unrounded result, limits of a ReLU and the shape its codes take."""

    source: Unrounded
    low: float = -np.inf
    high: float = np.inf
    shape: tuple[int, ...] | None = None


def _codes(value: Centred) -> Array:
    return value.integers.numpy() + _F(value.zero)


def _rounded(values: Any) -> Array:
    """Rounded half to even; float32."""
    rounded: Array = np.rint(values)
    return rounded


def _fused(factor: np.float32, values: Any, added: Any) -> Any:
    """Float32 `factor * values + added` with one rounding: the product is exact in float64."""
    return (np.float64(factor) * np.asarray(values, np.float64) + np.asarray(added, np.float64)).astype(_F)


@torch.no_grad()
def run_in_integers(network: QuantizedNetwork, images: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """The network's output computed in integers, float32: codes minus zero point, times step.

    Of a network that ends in up-sampling, what comes before it: the low-resolution logits.

    Raises:
        NetworkError: an operation has no integer kernel here.
    """
    graph = network.graph
    last = last_upsampling(graph)
    values: dict[fx.Node, Any] = {}
    for node in graph.graph.nodes:
        if last is not None and node == last:
            return _output(values[node.args[0]])
        if node.op == "placeholder":
            values[node] = Pending(Reals(images.numpy(force=True)))
        elif node.op == "call_module":
            values[node] = _module(graph.get_submodule(str(node.target)), values[node.args[0]])
        elif node.op == "call_function":
            values[node] = _function(node, values)
        elif node.op == "output":
            given: Any = node.args[0]
            return _output(values[given[0] if isinstance(given, (tuple, list)) else given])
    raise NetworkError("the network has no output")


@final
class InIntegers(nn.Module):
    """A quantized network as a device computes it, for a metric or a comparison; no gradients.

    See `in_integers` for networks with operations that have no integer kernel here.

    Example:
        >>> from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
        >>> x = torch.linspace(-1.0, 1.0, 6).view(2, 3)
        >>> network = quantize(nn.Linear(3, 2), x, Policy(fixed=Bits(weight=8, activation=8)))
        >>> network.calibrate([x])
        >>> bool((InIntegers(network)(x) - network(x)).abs().max() < 1e-6)
        True
    """

    def __init__(self, network: QuantizedNetwork) -> None:
        super().__init__()
        self.network = network
        self.last = last_upsampling(network.graph)

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
        """The network's output, float32, up-sampled where the network ends so."""
        return upsampled(self.last, run_in_integers(self.network, x))


def in_integers(network: QuantizedNetwork, example: Float[torch.Tensor, "n ..."]) -> nn.Module:
    """`InIntegers` of the network, or the network itself where an operation has no integer kernel here."""
    try:
        run_in_integers(network, example)
    except NetworkError:
        return network
    return InIntegers(network)


def upsampled(last: fx.Node | None, logits: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
    """Logits as the up-sampling node at a network's end gives them; as they are without one."""
    if last is None:
        return logits
    operation: Any = last.target
    made: torch.Tensor = operation(logits, *arguments_of(last)[1:])
    return made


def _output(value: Any) -> Float[torch.Tensor, "..."]:
    if not isinstance(value, Centred):
        raise NetworkError("the network's output is not quantized")
    return torch.from_numpy(value.integers.numpy() * value.step)


def _module(module: torch.nn.Module, source: Any) -> Any:
    if isinstance(module, ActivationQuantizer):
        return _round(module, source)
    if isinstance(module, QuantizedLayer) and isinstance(source, Centred):
        return _layer(module, source)
    raise NetworkError("there is neither a quantizer nor a layer with a quantized input")


def _round(quantizer: ActivationQuantizer, source: Any) -> Centred:
    """Codes of a pending result, limited by bits and ReLU."""
    if isinstance(source, Centred):
        source = Pending(Reals(source.integers.numpy() * source.step))
    step, zero = _F(quantizer.scale().detach().item()), int(quantizer.zero_point)
    top = 2**quantizer.bits - 1
    low, high = (zero + float(np.rint(np.clip(_F(limit) / step, -1e6, 1e6))) for limit in (source.low, source.high))
    least, most = (_F(np.clip(np.clip(end, 0, top), low, high)) for end in (-np.inf, np.inf))
    codes = source.source.codes(step, zero)
    np.clip(codes, least, most, out=codes)
    codes -= _F(zero)
    centred = torch.from_numpy(codes)
    return Centred(integers=centred if source.shape is None else centred.reshape(source.shape), quantizer=quantizer)


def _layer(layer: QuantizedLayer, source: Centred) -> Pending:
    sums = _sums(layer, source)
    steps = (source.step * layer.scale().detach().numpy(force=True)).astype(_F)
    channels = 1 if isinstance(layer.operation, type(ATEN.conv2d.default)) and layer.weight.ndim > 2 else sums.ndim - 1
    shape = [1] * sums.ndim
    shape[channels] = -1
    return Pending(Sums(sums.numpy(), steps.reshape(shape)))


def _sums(layer: QuantizedLayer, source: Centred) -> Float[torch.Tensor, "..."]:
    """Sums of products of codes and bias, rounded to float32 once: exact in between, see the module."""
    codes, bias = layer.centred_codes().cpu(), layer.bias_codes()
    largest = max(source.zero, 2**source.quantizer.bits - 1 - source.zero)
    most = codes.abs().flatten(1).sum(dim=1) * largest
    most = most if bias is None else most + bias.cpu().abs()
    kind = torch.float32 if int(most.max()) <= _EXACT else torch.float64
    operation: Any = layer.operation
    sums: torch.Tensor = operation(
        source.integers.to(kind), codes.to(kind), None if bias is None else bias.to("cpu", kind), *layer.arguments
    )
    return sums.float()


def _function(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    arguments = [_value(argument, values) for argument in node.args]
    source = arguments[0]
    if node.target in ACTIVATIONS:
        return _activation(node, source)
    if node.target in MOVES and isinstance(source, Centred):
        moved = node.target(source.integers, *arguments[1:], **node.kwargs)
        return Centred(integers=moved, quantizer=source.quantizer)
    if node.target is ATEN.sym_size.int:
        return int(source.integers.shape[arguments[1]])
    if node.target is ATEN.add.Tensor and all(isinstance(term, Centred) for term in arguments):
        return Pending(Total(arguments[0], arguments[1]))
    if node.target is ATEN.cat.default:
        axis = arguments[1] if len(arguments) > 1 else 0
        return Pending(Joined(tuple(arguments[0]), axis))
    return _of_maps(node, source, arguments)


def _of_maps(node: fx.Node, source: Any, arguments: Sequence[Any]) -> Pending:
    """A mean over whole maps, or maps at another size."""
    if node.target is ATEN.upsample_bilinear2d.vec and isinstance(source, Centred):
        height, width = node.meta["val"].shape[2:]
        floats = source.integers.numpy() * source.step
        return Pending(Reals(bilinear(floats, (int(height), int(width)), corners=bool(arguments[2]))))
    shape = tuple(node.meta["val"].shape) if isinstance(node.meta.get("val"), torch.Tensor) else ()
    if isinstance(source, Centred) and _is_whole_mean(node, source, arguments, shape):
        places = tuple(range(2, source.integers.ndim))
        sums = source.integers.sum(dim=places, keepdim=True)
        count = source.integers[0, 0].numel()
        return Pending(Mean(sums.numpy(), source.step, count), shape=(-1, *shape[1:]))
    raise NetworkError(f"{node.target} ({node.name}) has no integer kernel in the reference")


def _is_whole_mean(node: fx.Node, source: Centred, arguments: Sequence[Any], shape: tuple[Any, ...]) -> bool:
    if node.target is ATEN.adaptive_avg_pool2d.default:
        return shape[2:] == (1, 1)
    rank = source.integers.ndim
    return node.target is ATEN.mean.dim and sorted(axis % rank for axis in arguments[1]) == list(range(2, rank))


def _activation(node: fx.Node, source: Any) -> Pending:
    if node.target in {ATEN.hardtanh.default, ATEN.hardtanh_.default}:
        low, high = arguments_of(node)[1:]
    else:
        low, high = 0.0, 6.0 if node.target in {ATEN.relu6.default, ATEN.relu6_.default} else np.inf
    if isinstance(source, Centred):
        source = Pending(Reals(source.integers.numpy() * source.step))
    ends = [float(np.clip(end, low, high)) for end in (source.low, source.high)]
    return Pending(source.source, ends[0], ends[1], source.shape)


def _value(argument: Any, values: dict[fx.Node, Any]) -> Any:
    if isinstance(argument, fx.Node):
        return values.get(argument, argument)
    if isinstance(argument, (list, tuple)):
        return [_value(item, values) for item in argument]
    return argument
