"""Layers with weights. In a quantized network they are modules, which the integer reference computes itself."""

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role

CONV2D = Operation(name="conv2d", role=Role.CONVOLUTION, overloads=(ATEN.conv2d.default, ATEN.conv2d.padding))
CONV1D = Operation(name="conv1d", role=Role.CONVOLUTION, overloads=(ATEN.conv1d.default, ATEN.conv1d.padding))
CONV3D = Operation(name="conv3d", role=Role.CONVOLUTION, overloads=(ATEN.conv3d.default, ATEN.conv3d.padding))
CONV_TRANSPOSE1D = Operation(
    name="conv_transpose1d", role=Role.TRANSPOSED_CONVOLUTION, overloads=(ATEN.conv_transpose1d.default,)
)
CONV_TRANSPOSE2D = Operation(
    name="conv_transpose2d", role=Role.TRANSPOSED_CONVOLUTION, overloads=(ATEN.conv_transpose2d.input,)
)
EMBEDDING = Operation(name="embedding", role=Role.EMBEDDING, overloads=(ATEN.embedding.default,))
LINEAR = Operation(name="linear", role=Role.LINEAR, overloads=(ATEN.linear.default,))
BATCH_NORM = Operation(name="batch_norm", role=Role.NORMALIZATION, overloads=(ATEN.batch_norm.default,))
