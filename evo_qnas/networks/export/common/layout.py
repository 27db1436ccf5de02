"""Layout operations that are one operation in every runtime: they move codes and compute nothing."""

from evo_qnas.networks.capture.graph import ATEN

RESHAPES = (
    ATEN.flatten.using_ints,
    ATEN.view.default,
    ATEN.reshape.default,
    ATEN.squeeze.dim,
    ATEN.squeeze.dims,
    ATEN.unsqueeze.default,
)
IDENTITIES = (
    ATEN.dropout.default,
    ATEN.dropout_.default,
    ATEN.contiguous.default,
    ATEN.clone.default,
    ATEN.alias.default,
)
PADS = (ATEN.pad.default, ATEN.constant_pad_nd.default)
