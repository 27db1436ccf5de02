"""DeepLabV3 on an encoder of inverted residuals."""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.models.layers import conv_bn, inverted_residual_stages


@final
class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling: 1 x 1 branch, 3 x 3 branches of several rates, the map's mean; joined, projected.

    Source: Chen et al. 2017, DeepLabV3, section 3.3; with `separable` the 3 x 3 branches filter each channel alone, as
    in Chen et al. 2018, DeepLabV3+, section 3.1. ReLU6 instead of ReLU; the mean is spread over the map without
    interpolation, which for a map of one pixel is the same.

    Attributes:
        branches: the 1 x 1 branch, then those of 3 x 3.
        reduce: what the 3 x 3 branches read, the map itself unless `networks.low_rank` put a 1 x 1 convolution there.
        pool: the branch of the map's mean.
        project: from all channels of the branches to those of the output.
    """

    def __init__(
        self, inputs: int, outputs: int, *, rates: list[int], hidden: int | None = None, separable: bool = False
    ) -> None:
        """Builds the module.

        Args:
            inputs: channels of the input.
            outputs: channels of the output.
            rates: dilation of each 3 x 3 branch, in pixels of the map.
            hidden: channels of each branch; `outputs` where None.
            separable: 3 x 3 branches of a depthwise and a 1 x 1 convolution.
        """
        super().__init__()
        width = hidden or outputs
        branches: list[nn.Module] = [conv_bn(inputs, width)]
        for rate in rates:
            if separable:
                filtered = conv_bn(inputs, inputs, kernel=3, groups=inputs, dilation=rate)
                branches.append(nn.Sequential(filtered, conv_bn(inputs, width)))
            else:
                branches.append(conv_bn(inputs, width, kernel=3, dilation=rate))
        self.branches = nn.ModuleList(branches)
        self.reduce: nn.Module = nn.Identity()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(inputs, width))
        self.project = conv_bn(width * (len(branches) + 1), outputs)

    def forward(self, x: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n outputs h w"]:
        """`(n, channels, height, width)` in, the same map with other channels out."""
        maps, mean = self.branch_maps(x)
        spread = mean.expand(-1, -1, x.shape[2], x.shape[3])
        joined: torch.Tensor = self.project(torch.cat([*maps, spread], dim=1))
        return joined

    def branch_maps(
        self, x: Float[torch.Tensor, "n c h w"]
    ) -> tuple[list[Float[torch.Tensor, "n _ h w"]], Float[torch.Tensor, "n _ 1 1"]]:
        """Outputs of the branches, in their order, and of the branch of the map's mean, one pixel."""
        mean: torch.Tensor = self.pool(x)
        reduced = self.reduce(x)
        return [branch(reduced if index else x) for index, branch in enumerate(self.branches)], mean


@final
class DeepLabV3(nn.Module):
    """DeepLabV3 with a MobileNetV2-style encoder; the logits are up-sampled bilinearly to the image's size.

    That last step is left out of an exported file unless it is asked for: a device which needs no full-size logits does
    not pay for them.

    Source: Chen et al. 2017, DeepLabV3; Sandler et al. 2018, MobileNetV2, section 6.3, for the encoder. Output stride
    8 or 16 follows from strides and dilations of the stages.

    Attributes:
        stem: convolution 3 x 3 with stride 2.
        stages: one module per stage, the usual blocks of a search.
        aspp: `AtrousPyramid`, a block too where a card names it.
        classifier: dropout and a 1 x 1 convolution to the classes.
    """

    def __init__(
        self,
        *,
        classes: int,
        stem: int,
        stages: list[dict[str, int]],
        aspp: dict[str, Any],
        channels: int = 3,
        dropout: float = 0.1,
    ) -> None:
        """Builds the network.

        Args:
            classes: number of classes.
            stem: channels of the stem.
            stages: per stage `channels`, `expansion`, `depth`, `stride`, `kernel` (3 where absent), `dilation` (1).
            aspp: `channels`, `rates`, `separable` (false where absent).
            channels: channels of the images.
            dropout: share of features dropped before the classifier while training.
        """
        super().__init__()
        self.stem = conv_bn(channels, stem, kernel=3, stride=2)
        for stage in stages:
            unknown = set(stage) - {"channels", "expansion", "depth", "stride", "kernel", "dilation"}
            if unknown:
                raise NetworkError(f"a stage of DeepLabV3 has no key {sorted(unknown)[0]!r}")
        self.stages, width = inverted_residual_stages(stem, stages)
        self.aspp = AtrousPyramid(
            width, aspp["channels"], rates=list(aspp["rates"]), separable=bool(aspp.get("separable", False))
        )
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Conv2d(aspp["channels"], classes, 1))

    def forward(self, x: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n classes h w"]:
        """Logits `(n, classes, height, width)` of images `(n, channels, height, width)`."""
        logits: torch.Tensor = self.classifier(self.aspp(self.stages(self.stem(x))))
        return nn.functional.interpolate(logits, size=[x.shape[2], x.shape[3]], mode="bilinear", align_corners=False)
