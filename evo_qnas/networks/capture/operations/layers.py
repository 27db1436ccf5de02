"""Layers with weights. In a quantized network they are modules, which the integer reference computes itself."""

from evo_qnas.networks.capture.operations.operation import ATEN, Operation, Role

CONV2D = Operation(name="conv2d", role=Role.CONVOLUTION, overloads=(ATEN.conv2d.default, ATEN.conv2d.padding))
CONV1D = Operation(name="conv1d", role=Role.CONVOLUTION, overloads=(ATEN.conv1d.default,))
LINEAR = Operation(name="linear", role=Role.LINEAR, overloads=(ATEN.linear.default,))
BATCH_NORM = Operation(name="batch_norm", role=Role.NORMALIZATION, overloads=(ATEN.batch_norm.default,))
