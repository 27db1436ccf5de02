"""Normalizations that depend on the input, in floats between two quantizers; scales and shifts are float parts."""

from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare

LAYER_NORM = declare("layer_norm", Role.FUNCTION, ATEN.layer_norm.default)
RMS_NORM = declare("rms_norm", Role.FUNCTION, ATEN.rms_norm.default)
GROUP_NORM = declare("group_norm", Role.FUNCTION, ATEN.group_norm.default)
INSTANCE_NORM = declare("instance_norm", Role.FUNCTION, ATEN.instance_norm.default)
VECTOR_NORM = declare(
    "vector_norm",
    Role.POOLING,
    ATEN.linalg_vector_norm.default,
    ATEN.norm.ScalarOpt_dim,
    ATEN.norm.Scalar,
    passes=True,
)
