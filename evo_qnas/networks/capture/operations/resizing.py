"""Maps at another size."""

from collections.abc import Sequence
from typing import Any

from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Pending, Reals
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role
from evo_qnas.networks.capture.operations.upsampling import bilinear


def _bilinear(node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    source, corners = arguments[0], bool(arguments[2])
    if not isinstance(source, Centred):
        return None
    height, width = node.meta["val"].shape[2:]
    return Pending(Reals(bilinear(source.floats, (int(height), int(width)), corners=corners)))


UPSAMPLE_NEAREST2D = Operation(
    name="upsample_nearest2d", role=Role.LAYOUT, overloads=(ATEN.upsample_nearest2d.vec,), resizes=True
)
UPSAMPLE_BILINEAR2D = Operation(
    name="upsample_bilinear2d",
    role=Role.RESIZE,
    overloads=(ATEN.upsample_bilinear2d.vec,),
    resizes=True,
    integer=_bilinear,
)
