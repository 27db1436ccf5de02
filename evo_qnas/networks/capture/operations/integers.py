"""Values of a network in integers: centred codes, and results before they are rounded to the codes behind them.

Written from the definition of each integer kernel of ONNX Runtime: sums of centred codes are exact, one float32
multiplication per output channel is rounded half to even, the zero point and limits come last.

Source: ONNX operators QLinearConv and QuantizeLinear; ONNX Runtime's kernels QLinearAdd, QLinearGlobalAveragePool and
QLinearConcat for the order of their float32 operations on x86-64 with AVX2 and later.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Shaped

Array = Shaped[np.ndarray, "..."]
_F = np.float32


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Centred:
    """Codes minus their zero point, and what they stand for.

    Attributes:
        integers: exact integers in float32.
        scale: float32.
        zero: the zero point.
        code_range: smallest and largest code.
    """

    integers: torch.Tensor
    scale: np.float32
    zero: int
    code_range: tuple[int, int] = (0, 255)

    @property
    def codes(self) -> Array:
        """The codes, float32."""
        return np.asarray(self.integers.numpy() + _F(self.zero))

    @property
    def floats(self) -> Array:
        """The values that the codes stand for, float32."""
        return np.asarray(self.integers.numpy() * self.scale)

    @property
    def largest(self) -> int:
        """The largest magnitude that a centred code may have."""
        return max(self.zero - self.code_range[0], self.code_range[1] - self.zero)


class Unrounded(ABC):
    """Result of a kernel before it is rounded to the codes of the quantizer behind it."""

    @abstractmethod
    def codes(self, scale: np.float32, zero: int) -> Array:
        """Unlimited codes, whole numbers in float32, for an output scale and zero point."""

    @abstractmethod
    def floats(self) -> Array:
        """The values before they are rounded, float32."""


@final
@dataclass(frozen=True, slots=True)
class Reals(Unrounded):
    """Floats: QuantizeLinear.

    Attributes:
        values: float32.
        exact: every runtime has the same floats; False where they come from an operation in floats, whose last bits
            are each runtime's own.
    """

    values: Array
    exact: bool = True

    def floats(self) -> Array:
        """The values."""
        return self.values

    def codes(self, scale: np.float32, zero: int) -> Array:
        """`round(x / scale) + zero`."""
        return np.asarray(rounded(self.values.astype(_F, copy=False) / scale) + _F(zero))


@final
@dataclass(frozen=True, slots=True)
class Sums(Unrounded):
    """Integer sums with a scale per channel: QLinearConv and QGemm."""

    integers: Array
    scales: Array

    def floats(self) -> Array:
        """Sums times scales."""
        values: Array = self.integers.astype(_F, copy=False) * self.scales
        return values

    def codes(self, scale: np.float32, zero: int) -> Array:
        """`round(float32(sum) * (scales / scale)) + zero`."""
        return rounded(self.integers.astype(_F, copy=False) * (self.scales / scale)) + _F(zero)


@final
@dataclass(frozen=True, slots=True)
class Mean(Unrounded):
    """Integer sums over whole maps: QLinearGlobalAveragePool."""

    integers: Array
    scale: np.float32
    count: int

    def floats(self) -> Array:
        """Sums times the input's scale, divided by their count."""
        values: Array = self.integers.astype(_F) * (self.scale / _F(self.count))
        return values

    def codes(self, scale: np.float32, zero: int) -> Array:
        """`round(float32(sum) * (input scale / (scale * count))) + zero`."""
        factor = self.scale / (scale * _F(self.count))
        return rounded(self.integers.astype(_F) * factor) + _F(zero)


@final
@dataclass(frozen=True, slots=True)
class Total(Unrounded):
    """Two tensors of codes with different scales: QLinearAdd."""

    first: Centred
    second: Centred

    def floats(self) -> Array:
        """The sum of both in floats."""
        values: Array = self.first.floats + self.second.floats
        return values

    def codes(self, scale: np.float32, zero: int) -> Array:
        """`round(a * ra + (b * rb + fixed))` with `fixed = zero - (za * ra + zb * rb)`; additions are fused."""
        one, two = _F(self.first.scale / scale), _F(self.second.scale / scale)
        fixed = _F(zero) - _fused(one, self.first.zero, two * _F(self.second.zero))
        inner = _fused(two, self.second.codes, fixed)
        return rounded(_fused(one, self.first.codes, inner))


@final
@dataclass(frozen=True, slots=True)
class Joined(Unrounded):
    """Tensors of codes one behind the other: QLinearConcat."""

    parts: tuple[Centred, ...]
    axis: int

    def floats(self) -> Array:
        """The floats of all parts."""
        return np.concatenate([part.floats for part in self.parts], axis=self.axis)

    def codes(self, scale: np.float32, zero: int) -> Array:
        """Each part to floats and back; codes of the very same scale and zero point stay."""
        codes = []
        for part in self.parts:
            same = part.scale == scale and part.zero == zero
            codes.append(part.codes if same else Reals(part.floats).codes(scale, zero))
        return np.concatenate(codes, axis=self.axis)


@final
@dataclass(frozen=True, slots=True)
class Pending:
    """An unrounded result, limits of a ReLU and the shape its codes take."""

    source: Unrounded
    low: float = -np.inf
    high: float = np.inf
    shape: tuple[int, ...] | None = None

    def limited(self, low: float, high: float) -> "Pending":
        """The same, cut to `low..high` too."""
        ends = [float(np.clip(end, low, high)) for end in (self.low, self.high)]
        return Pending(self.source, ends[0], ends[1], self.shape)

    @property
    def exact(self) -> bool:
        """False where the result comes from floats that each runtime computes in its own way."""
        return not isinstance(self.source, Reals) or self.source.exact

    @property
    def floats(self) -> Array:
        """The values before they are rounded, within the limits and in the final shape."""
        values: Array = np.clip(self.source.floats(), _F(self.low), _F(self.high))
        return values if self.shape is None else values.reshape(self.shape)


def pending(value: Any) -> Pending:
    """A result that waits for a quantizer; codes that are quantized anew become floats first."""
    if isinstance(value, Centred):
        return Pending(Reals(value.floats))
    made: Pending = value
    return made


def rounded(values: Any) -> Array:
    """Rounded half to even; float32."""
    return np.asarray(np.rint(values))


def _fused(factor: np.float32, values: Any, added: Any) -> Any:
    """Float32 `factor * values + added` with one rounding: the product is exact in float64."""
    return (np.float64(factor) * np.asarray(values, np.float64) + np.asarray(added, np.float64)).astype(_F)
