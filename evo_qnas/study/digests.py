"""Digests of models: their weights, their code, and what they were made with."""

import hashlib
from typing import Any

import torch
from torch import nn

from evo_qnas.data.live.content import tensor_digest
from evo_qnas.fingerprints import digest


def model_digest(model: nn.Module) -> str:
    """A digest that changes with weights, structure, code and settings of a model, not with its mode or device."""
    mark = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        mark.update(f"{name} {tensor_digest(tensor)} ".encode())
    kinds = {}
    for name, module in model.named_modules():
        kinds[name] = [type(module), _settings(module)]
    mark.update(digest(kinds, entries=("forward",)).encode())
    return mark.hexdigest()[:32]


def _settings(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are neither parts of it nor of torch's own."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and not isinstance(value, torch.Tensor | nn.Module)
    }
