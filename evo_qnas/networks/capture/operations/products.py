"""Products of two activations: sums of products of codes in integers where both are quantized."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.networks.capture.operations.integers import Centred, Pending, Sums
from evo_qnas.networks.capture.operations.operation import ATEN, Role, declare


def _matmul(_node: fx.Node, arguments: Sequence[Any]) -> Pending | None:
    first, second = arguments[:2]
    if not isinstance(first, Centred) or not isinstance(second, Centred):
        return None
    if min(first.integers.ndim, second.integers.ndim) < 2:
        return None
    sums = torch.matmul(first.integers.double(), second.integers.double())
    return Pending(Sums(sums.float().numpy(), np.asarray(first.scale * second.scale, np.float32)))


MATMUL = declare("matmul", Role.ARITHMETIC, ATEN.matmul.default, ATEN.bmm.default, ATEN.mm.default, integer=_matmul)
BADDBMM = declare("baddbmm", Role.ARITHMETIC, ATEN.baddbmm.default)
ADDMM = declare("addmm", Role.ARITHMETIC, ATEN.addmm.default)
EINSUM = declare("einsum", Role.ARITHMETIC, ATEN.einsum.default)
SCALED_DOT_PRODUCT_ATTENTION = declare(
    "scaled_dot_product_attention", Role.FUNCTION, ATEN.scaled_dot_product_attention.default, float_arguments=(3,)
)
