"""The modules that candidate operators and our own teachers are built of."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

# One stride for all axes of a map, or one for each.
Stride = int | tuple[int, ...]
_BY_DIMS: Mapping[int, tuple[Any, Any]] = MappingProxyType(
    {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d)}
)


def conv_bn(
    inputs: int,
    outputs: int,
    *,
    kernel: int = 1,
    stride: Stride = 1,
    groups: int = 1,
    dilation: int = 1,
    act: bool = True,
    dims: int = 2,
) -> nn.Sequential:
    """Convolution without bias, BatchNorm and, where `act`, ReLU6; the map keeps its size up to the stride."""
    padding = dilation * (kernel // 2)
    convolution, norm = _BY_DIMS[dims]
    layers: list[nn.Module] = [
        convolution(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False),
        norm(outputs),
    ]
    if act:
        layers.append(nn.ReLU6())
    return nn.Sequential(*layers)


@final
class Residual(nn.Module):
    """`body(x) + x`."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Float[torch.Tensor, "*shape"]) -> Float[torch.Tensor, "*shape"]:
        """The same shape in and out."""
        total: torch.Tensor = self.body(x) + x
        return total


@final
class ChannelsSecond(nn.Module):
    """`body` on maps or tokens whose channels are the last axis."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Float[torch.Tensor, "n *sizes c"]) -> Float[torch.Tensor, "n *others d"]:
        """Channels last in and out."""
        last = x.ndim - 1
        y: torch.Tensor = self.body(x.permute(0, last, *range(1, last)))
        return y.permute(0, *range(2, last + 1), 1)


def _with_shortcut(body: nn.Module, inputs: int, outputs: int, stride: Stride) -> nn.Module:
    return Residual(body) if stride == 1 and inputs == outputs else body


def inverted_residual(
    inputs: int, outputs: int, *, kernel: int, expansion: int, stride: Stride = 1, dilation: int = 1, dims: int = 2
) -> nn.Module:
    """Expand, filter each channel, project; with a shortcut where the shapes allow.

    Source: Sandler et al. 2018, MobileNetV2, figure 4; at expansion 1 the expanding convolution is left out.
    """
    hidden = inputs * expansion
    layers: list[nn.Module] = [] if expansion == 1 else [conv_bn(inputs, hidden, dims=dims)]
    layers += [
        conv_bn(hidden, hidden, kernel=kernel, stride=stride, groups=hidden, dilation=dilation, dims=dims),
        conv_bn(hidden, outputs, act=False, dims=dims),
    ]
    return _with_shortcut(nn.Sequential(*layers), inputs, outputs, stride)


def inverted_residual_stages(width: int, stages: Sequence[Mapping[str, Any]]) -> tuple[nn.Sequential, int]:
    """One module per stage, each a stack of inverted residuals, and the channels of the last.

    Args:
        width: channels that go in.
        stages: `channels`, `expansion`, `depth`, `stride` of the first layer; `kernel` (3 if absent), `dilation` (1).
    """
    made: list[nn.Module] = []
    for stage in stages:
        layers: list[nn.Module] = []
        for index in range(stage["depth"]):
            layers.append(
                inverted_residual(
                    width,
                    stage["channels"],
                    kernel=stage.get("kernel", 3),
                    expansion=stage["expansion"],
                    stride=stage["stride"] if index == 0 else 1,
                    dilation=stage.get("dilation", 1),
                )
            )
            width = stage["channels"]
        made.append(nn.Sequential(*layers))
    return nn.Sequential(*made), width


def fused_inverted_residual(
    inputs: int, outputs: int, *, kernel: int, expansion: int, stride: Stride = 1, dilation: int = 1, dims: int = 2
) -> nn.Module:
    """One full convolution that expands and filters, then a projection; shortcut where the shapes allow.

    Source: Tan & Le 2021, EfficientNetV2, figure 2; at expansion 1 a single convolution with ReLU6.
    """
    hidden = inputs * expansion
    width = hidden if expansion > 1 else outputs
    first = conv_bn(inputs, width, kernel=kernel, stride=stride, dilation=dilation, dims=dims)
    body = nn.Sequential(first, conv_bn(hidden, outputs, act=False, dims=dims)) if expansion > 1 else first
    return _with_shortcut(body, inputs, outputs, stride)


def depthwise_separable(
    inputs: int, outputs: int, *, kernel: int, stride: Stride = 1, dilation: int = 1, dims: int = 2
) -> nn.Module:
    """A convolution per channel with ReLU6, then a projection; shortcut where the shapes allow.

    Source: Howard et al. 2017, MobileNets, with the linear projection of MobileNetV2.
    """
    body = nn.Sequential(
        conv_bn(inputs, inputs, kernel=kernel, stride=stride, groups=inputs, dilation=dilation, dims=dims),
        conv_bn(inputs, outputs, act=False, dims=dims),
    )
    return _with_shortcut(body, inputs, outputs, stride)
