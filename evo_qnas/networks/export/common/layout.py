"""Layout operations that are one operation in every runtime: they move codes and compute nothing."""

from evo_qnas.networks.capture.graph import ATEN

RESHAPES = (
    ATEN.flatten.using_ints,
    ATEN.unflatten.int,
    ATEN.view.default,
    ATEN.view_as.default,
    ATEN.reshape.default,
    ATEN.reshape_as.default,
    ATEN.squeeze.default,
    ATEN.squeeze.dim,
    ATEN.squeeze.dims,
    ATEN.unsqueeze.default,
)
IDENTITIES = (
    ATEN.dropout.default,
    ATEN.feature_dropout.default,
    ATEN.alpha_dropout.default,
    ATEN.feature_alpha_dropout.default,
    ATEN.contiguous.default,
    ATEN.clone.default,
    ATEN.alias.default,
    ATEN.detach.default,
)
PADS = (ATEN.pad.default, ATEN.constant_pad_nd.default)
