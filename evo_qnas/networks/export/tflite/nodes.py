"""Questions to nodes of graphs, and their constants."""

from typing import Any

import numpy as np
import torch
from torch import fx

from evo_qnas.networks.export.tflite.numbers import constant
from evo_qnas.networks.export.tflite.values import Constant, Pending, Tensor, kind_of


def constant_of(name: str, tensor: torch.Tensor) -> Constant:
    """Numbers as operators read them; a tensor of the network's own keeps its width in the file."""
    array = tensor.numpy(force=True)
    keeps = bool(name) and array.dtype == np.int64
    return Constant(name=name, array=array if keeps else constant(array, kind_of(tensor.dtype)).array)


def is_aten(node: fx.Node) -> bool:
    """True for a call of an operation of ATen."""
    return isinstance(node.target, torch._ops.OpOverload)


def depends_on_nothing(arguments: Any) -> bool:
    """True for numbers, and constants that are no tensors of the network's own."""
    if isinstance(arguments, (list, tuple)):
        return all(map(depends_on_nothing, arguments))
    return not isinstance(arguments, (Tensor, Pending)) and not (isinstance(arguments, Constant) and arguments.name)


def line_of(node: fx.Node) -> str:
    """The last line of the user's code from which a node comes, as torch keeps it."""
    lines = [line.strip() for line in str(node.meta.get("stack_trace") or "").splitlines() if line.strip()]
    places = [index for index, line in enumerate(lines) if line.startswith("File ")]
    if not places:
        return ""
    code = lines[places[-1] + 1] if places[-1] + 1 < len(lines) else ""
    return f" [{lines[places[-1]]}: {code}]"
