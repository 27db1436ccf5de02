"""Channels inside a block that nothing outside sees, found by following what the block computes."""

from dataclasses import dataclass, field
from typing import final

from torch import nn

from evo_qnas.networks.candidates.flow import Call, Flow, Value, flow_of

# Operations that do the same to each channel, whatever the others are.
_EACH_VALUE = frozenset(
    {
        *("relu", "relu6", "hardtanh", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh", "gelu", "leaky_relu"),
        *("elu", "mish", "softplus", "clamp", "clamp_min", "clone", "detach", "alias", "contiguous", "_to_copy"),
    }
)
# Operations on each channel alone that keep all of them.
_EACH_CHANNEL = frozenset({"constant_pad_nd", "reflection_pad2d", "replication_pad2d"})
_POOLS = frozenset({"mean", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"})
_JOINS = frozenset({"mul", "add"})
# Side of the maps on which a block is followed whose input is not known: larger than the windows of common layers.
_SIDE = 32


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The channels inside an inverted residual, which nothing outside it sees.

    Attributes:
        expanding: the 1 x 1 convolution that makes them.
        filters: the convolutions of each channel alone.
        projecting: the 1 x 1 convolution that reads them.
        norms: BatchNorm layers over them, the last one behind the last filter.
        pooled: 1 x 1 convolutions that read their means over the map (squeeze and excitation).
        gating: 1 x 1 convolutions whose outputs are multiplied with them.
        gate_norms: BatchNorm layers on the way of those.
    """

    expanding: nn.Conv2d
    filters: tuple[nn.Conv2d, ...]
    projecting: nn.Conv2d
    norms: tuple[nn.BatchNorm2d, ...]
    pooled: tuple[nn.Conv2d, ...] = ()
    gating: tuple[nn.Conv2d, ...] = ()
    gate_norms: tuple[nn.BatchNorm2d, ...] = ()

    @property
    def filtering(self) -> nn.Conv2d:
        """The last of the filters."""
        return self.filters[-1]

    @property
    def width(self) -> int:
        """Number of channels."""
        return self.filtering.out_channels

    @property
    def residual(self) -> bool:
        """MobileNetV2's rule for a shortcut: as many channels out as in, no stride."""
        strides = [max(layer.stride) for layer in self.filters]
        return self.expanding.in_channels == self.projecting.out_channels and max(strides) == 1


def hidden_channels(block: nn.Module, inputs: tuple[int, ...] | None = None) -> tuple[Hidden, ...]:
    """Every inverted residual of a block, in the order in which they run: 1 x 1, a filter per channel, 1 x 1.

    Between them may stand BatchNorm, functions of each value, paddings of maps, and a squeeze and excitation of 1 x 1
    convolutions; what else reads the channels keeps them.

    Args:
        block: stays as it is.
        inputs: shape of its input without the batch; None takes a map of as many channels as its first convolution
            reads.
    """
    if inputs is None:
        first = next((module for module in block.modules() if isinstance(module, nn.Conv2d)), None)
        if first is None:
            return ()
        inputs = (first.in_channels, _SIDE, _SIDE)
    if not any(isinstance(module, nn.Conv2d) and _is_filter(module) for module in block.modules()):
        return ()
    flow = flow_of(block, inputs)
    if flow is None:
        return ()
    found = [_Group(flow).hidden(call) for call in flow.calls if _expands(call)]
    return tuple(hidden for hidden in found if hidden is not None)


def _is_filter(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels > 1


def _expands(call: Call) -> bool:
    """True for a 1 x 1 convolution that mixes all channels."""
    layer = call.module
    return isinstance(layer, nn.Conv2d) and call.name == "convolution" and _mixes(layer)


def _mixes(layer: nn.Conv2d) -> bool:
    return layer.groups == 1 and tuple(layer.kernel_size) == (1, 1)


@final
@dataclass(slots=True)
class _Group:
    """Values that have the channels of one convolution, and the layers that make and read them."""

    flow: Flow
    values: dict[Value, bool] = field(default_factory=dict)  # True where they are means over the map, or made of them
    filters: list[nn.Conv2d] = field(default_factory=list)
    norms: list[nn.BatchNorm2d] = field(default_factory=list)
    gate_norms: list[nn.BatchNorm2d] = field(default_factory=list)
    reading: list[nn.Conv2d] = field(default_factory=list)
    pooled: list[nn.Conv2d] = field(default_factory=list)
    gating: list[nn.Conv2d] = field(default_factory=list)

    def hidden(self, call: Call) -> Hidden | None:
        """The inverted residual that a convolution begins, None where its channels are seen elsewhere."""
        waiting = [(call.gives, False)]
        while waiting:
            value, apart = waiting.pop(0)
            if value in self.values:
                continue
            self.values[value] = apart
            if value == self.flow.output:
                return None
            for reader in self.flow.readers(value):
                more = self._follow(reader, value, apart)
                if more is None:
                    return None
                waiting += more
        if not self.filters or len(self.reading) != 1 or not isinstance(call.module, nn.Conv2d):
            return None
        return Hidden(
            expanding=call.module,
            filters=tuple(self.filters),
            projecting=self.reading[0],
            norms=tuple(self.norms),
            pooled=tuple(self.pooled),
            gating=tuple(self.gating),
            gate_norms=tuple(self.gate_norms),
        )

    def _follow(self, call: Call, value: Value, apart: bool) -> list[tuple[Value, bool]] | None:
        """Values with the same channels that an operation gives; None where the channels cannot be taken from it."""
        layer = call.module
        padded = call.name in _EACH_CHANNEL and call.shape[1] == call.shapes[0][1]
        if padded or (call.name in _EACH_VALUE and len(call.reads) == 1):
            return [(call.gives, apart)]
        if call.name in _POOLS and len(call.shape) == 4:
            return [(call.gives, True)]
        if isinstance(layer, nn.BatchNorm2d) and call.reads[:1] == (value,):
            (self.gate_norms if apart else self.norms).append(layer)
            return [(call.gives, apart)]
        if isinstance(layer, nn.Conv2d) and call.name == "convolution":
            return self._convolved(call, layer, apart)
        if call.name in _JOINS and layer is None:
            return self._joined(call, value)
        return None

    def _convolved(self, call: Call, layer: nn.Conv2d, apart: bool) -> list[tuple[Value, bool]] | None:
        if _is_filter(layer) and not apart:
            self.filters.append(layer)
            return [(call.gives, apart)]
        if not _mixes(layer):
            return None
        (self.pooled if apart else self.reading).append(layer)
        return []

    def _joined(self, call: Call, value: Value) -> list[tuple[Value, bool]] | None:
        """A product or sum of values with these channels, or of one with a gate of as many."""
        found: list[tuple[Value, bool]] = []
        apart = True
        for other in call.reads:
            if other == value or other in self.values:
                apart = apart and self.values[other]
                continue
            gate = self._gate(other)
            if gate is None:
                # It may still come to have these channels by another way; only what is a gate is taken at once.
                return [] if self._comes(other) else None
            self.gating.append(gate[0])
            found.append((gate[1], True))
        return [*found, (call.gives, apart)]

    def _gate(self, value: Value) -> tuple[nn.Conv2d, Value] | None:
        """The 1 x 1 convolution that makes a value by functions of each value alone, and what it gives."""
        call = self.flow.maker(value)
        while call is not None and (call.name in _EACH_VALUE or isinstance(call.module, nn.BatchNorm2d)):
            call = self.flow.maker(call.reads[0])
        if call is None or not isinstance(call.module, nn.Conv2d) or not _mixes(call.module):
            return None
        return (call.module, call.gives) if call.shape[2:] == (1, 1) else None

    def _comes(self, value: Value) -> bool:
        """True where a value is made of those known by functions of each value alone: it is joined when it is known."""
        call = self.flow.maker(value)
        while call is not None and call.name in _EACH_VALUE:
            if call.reads[0] in self.values:
                return True
            call = self.flow.maker(call.reads[0])
        return False
