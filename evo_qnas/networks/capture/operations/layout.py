"""Layout operations: they move values, or choose among them, so that their output needs no range of its own."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Pending
from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role, declare


def _layout(name: str, *overloads: Any, copies: bool = True, **settings: Any) -> Operation:
    return declare(name, Role.LAYOUT, *overloads, copies=copies, **settings)


def _size(_node: fx.Node, arguments: Sequence[Any]) -> Any:
    source, axis = arguments
    values = source.integers if isinstance(source, Centred) else source
    return int((values.floats if isinstance(values, Pending) else values).shape[axis])


def _to(node: fx.Node, arguments: Sequence[Any]) -> Any:
    """Codes stay codes in any type of floats; as whole numbers they are a tensor of their own."""
    source, result = arguments[0], node.meta["val"]
    if not isinstance(source, Centred):
        return None
    return source if result.is_floating_point() else torch.from_numpy(source.floats).to(result.dtype)


def _pad(node: fx.Node, arguments: Sequence[Any]) -> Centred | None:
    """Codes with a rim of the code nearest to the padding value."""
    source, widths = arguments[:2]
    mode, filling = ("constant", arguments[2]) if node.target is ATEN.constant_pad_nd.default else arguments[2:4]
    if not isinstance(source, Centred) or mode != "constant" or not filling:
        return None
    first, last = (float(end - source.zero) for end in source.code_range)
    code = float(np.clip(np.rint(np.float32(filling) / source.scale), first, last))
    return replace(source, integers=torch.nn.functional.pad(source.integers, list(widths), value=code))


# Views: the same values in another shape.
FLATTEN = _layout("flatten", ATEN.flatten.using_ints, copies=False)
UNFLATTEN = _layout("unflatten", ATEN.unflatten.int, copies=False)
VIEW = _layout("view", ATEN.view.default, ATEN.view_as.default, copies=False)
RESHAPE = _layout("reshape", ATEN.reshape.default, ATEN.reshape_as.default, copies=False)
SQUEEZE = _layout("squeeze", ATEN.squeeze.dim, ATEN.squeeze.dims, ATEN.squeeze.default, copies=False)
UNSQUEEZE = _layout("unsqueeze", ATEN.unsqueeze.default, copies=False)
CONTIGUOUS = _layout("contiguous", ATEN.contiguous.default, copies=False)
ALIAS = _layout("alias", ATEN.alias.default, ATEN.detach.default, copies=False)
DROPOUT = _layout(
    "dropout",
    ATEN.dropout.default,
    ATEN.feature_dropout.default,
    ATEN.alpha_dropout.default,
    ATEN.feature_alpha_dropout.default,
    copies=False,
)
CLONE = _layout("clone", ATEN.clone.default)
TO = _layout(
    "to",
    ATEN.to.dtype,
    ATEN.to.dtype_layout,
    ATEN.to.device,
    ATEN.to.other,
    ATEN._to_copy.default,
    ATEN.type_as.default,
    copies=False,
    integer=_to,
)
# Axes in another order.
PERMUTE = _layout("permute", ATEN.permute.default)
TRANSPOSE = _layout("transpose", ATEN.transpose.int, ATEN.swapaxes.default, ATEN.swapdims.default)
MATRIX_TRANSPOSE = _layout(
    "matrix_transpose", ATEN.t.default, ATEN.mT.default, ATEN.numpy_T.default, ATEN.adjoint.default
)
MOVEDIM = _layout("movedim", ATEN.movedim.int, ATEN.movedim.intlist)
# Parts of a tensor.
SLICE = _layout("slice", ATEN.slice.Tensor)
NARROW = _layout("narrow", ATEN.narrow.default)
SELECT = _layout("select", ATEN.select.int)
CHUNK = _layout("chunk", ATEN.chunk.default)
SPLIT = _layout(
    "split",
    ATEN.split.Tensor,
    ATEN.split_with_sizes.default,
    ATEN.split.sizes,
    ATEN.tensor_split.sections,
    ATEN.tensor_split.indices,
)
UNBIND = _layout("unbind", ATEN.unbind.int)
DIAGONAL = _layout("diagonal", ATEN.diagonal.default)
INDEX_SELECT = _layout("index_select", ATEN.index_select.default)
INDEX = _layout("index", ATEN.index.Tensor)
GATHER = _layout("gather", ATEN.gather.default)
TRIU = _layout("triu", ATEN.triu.default)
TRIL = _layout("tril", ATEN.tril.default)
# Values in other positions, or several times.
ROLL = _layout("roll", ATEN.roll.default)
FLIP = _layout("flip", ATEN.flip.default)
EXPAND = _layout("expand", ATEN.expand.default, ATEN.expand_as.default)
REPEAT = _layout("repeat", ATEN.repeat.default, ATEN.tile.default)
REPEAT_INTERLEAVE = _layout("repeat_interleave", ATEN.repeat_interleave.self_int)
PIXEL_SHUFFLE = _layout("pixel_shuffle", ATEN.pixel_shuffle.default)
PIXEL_UNSHUFFLE = _layout("pixel_unshuffle", ATEN.pixel_unshuffle.default)
CHANNEL_SHUFFLE = _layout("channel_shuffle", ATEN.channel_shuffle.default, ATEN.native_channel_shuffle.default)
IM2COL = _layout("im2col", ATEN.im2col.default)
UNFOLD = _layout("unfold", ATEN.unfold.default)
PAD = _layout("pad", ATEN.pad.default, ATEN.constant_pad_nd.default, integer=_pad)
# The largest and the smallest values.
MAX_POOL2D = _layout("max_pool2d", ATEN.max_pool2d.default)
MAX_POOL1D = _layout("max_pool1d", ATEN.max_pool1d.default)
MAX_POOL3D = _layout("max_pool3d", ATEN.max_pool3d.default)
ADAPTIVE_MAX_POOL = _layout("adaptive_max_pool", ATEN.adaptive_max_pool2d.default, ATEN.adaptive_max_pool1d.default)
AMAX = _layout("amax", ATEN.amax.default, ATEN.max.default)
AMIN = _layout("amin", ATEN.amin.default, ATEN.min.default)
MAX_OF_AXIS = _layout("max_of_axis", ATEN.max.dim)
MIN_OF_AXIS = _layout("min_of_axis", ATEN.min.dim)
SIZE = Operation(name="size", role=Role.SHAPE, overloads=(ATEN.sym_size.int,), integer=_size)
