"""Maps at another size."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals
from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare
from evo_qnas.networks.capture.operations.upsampling import bilinear, scales_of


def _bilinear(node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, corners = arguments[0], bool(arguments[2])
    if not isinstance(source, Centred):
        return None
    height, width = node.meta["val"].shape[2:]
    size = (int(height), int(width))
    return Pending(Reals(bilinear(source.floats, size, corners=corners, scales=scales_of(node))))


UPSAMPLE_NEAREST2D = declare("upsample_nearest2d", Role.LAYOUT, ATEN.upsample_nearest2d.vec, resizes=True)
UPSAMPLE_NEAREST1D = declare("upsample_nearest1d", Role.LAYOUT, ATEN.upsample_nearest1d.vec)
UPSAMPLE_NEAREST3D = declare("upsample_nearest3d", Role.LAYOUT, ATEN.upsample_nearest3d.vec)
UPSAMPLE_NEAREST_EXACT = declare(
    "upsample_nearest_exact",
    Role.LAYOUT,
    ATEN._upsample_nearest_exact2d.vec,
    ATEN._upsample_nearest_exact1d.vec,
)
UPSAMPLE_BILINEAR2D = declare(
    "upsample_bilinear2d", Role.RESIZE, ATEN.upsample_bilinear2d.vec, resizes=True, integer=_bilinear
)
UPSAMPLE_LINEAR1D = declare("upsample_linear1d", Role.RESIZE, ATEN.upsample_linear1d.vec)
UPSAMPLE_TRILINEAR3D = declare("upsample_trilinear3d", Role.RESIZE, ATEN.upsample_trilinear3d.vec)
UPSAMPLE_BICUBIC2D = declare("upsample_bicubic2d", Role.RESIZE, ATEN.upsample_bicubic2d.vec)
UPSAMPLE_ANTIALIASED = declare(
    "upsample_antialiased", Role.RESIZE, ATEN._upsample_bilinear2d_aa.vec, ATEN._upsample_bicubic2d_aa.vec
)
