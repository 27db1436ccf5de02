"""Layers and quantizers of a graph as JSON, and back without their numbers, which `restore` brings."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle.arguments import argument_json, argument_of, target_of, target_text
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme


def module_json(module: nn.Module, names: Mapping[int, str]) -> dict[str, Any]:
    """What a layer or quantizer is made with.

    Args:
        module: of a quantized graph.
        names: targets of quantizers by identity, for the source of a layer's bias.

    Raises:
        NetworkError: it is neither.
    """
    if isinstance(module, ActivationQuantizer):
        head = {"kind": "quantizer", "scheme": _scheme_name(module.scheme)}
        return {**head, "name": module.name, "block": module.block, "bits": module.bits}
    if isinstance(module, QuantizedLayer):
        return {
            "kind": "layer",
            "scheme": _scheme_name(module.scheme),
            "name": module.name,
            "block": module.block,
            "bits": module.bits,
            "operation": target_text(module.operation),
            "arguments": argument_json(module.arguments),
            "shape": list(module.weight.shape),
            "bias": module.bias is not None,
            "outputs": None if module.bias is None else len(module.bias),
            "macs": module.macs,
            "source": [names[id(source)] for source in module.source],
        }
    raise NetworkError(f"a bundle holds layers and quantizers, not {type(module).__name__}")


def module_of(entry: Mapping[str, Any]) -> nn.Module:
    """The layer or quantizer of an entry, its numbers all 0."""
    scheme = SCHEMES.get(entry["scheme"])
    if entry["kind"] == "quantizer":
        return ActivationQuantizer(name=entry["name"], block=entry["block"], bits=entry["bits"], scheme=scheme)
    return QuantizedLayer(
        name=entry["name"],
        block=entry["block"],
        bits=entry["bits"],
        operation=target_of(entry["operation"]),
        arguments=tuple(argument_of(entry["arguments"], {})),
        weight=torch.zeros(entry["shape"]),
        bias=torch.zeros(entry["outputs"]) if entry["bias"] else None,
        macs=entry["macs"],
        scheme=scheme,
    )


def link(modules: Mapping[str, nn.Module], entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Gives each layer the quantizers of its input."""
    for target, entry in entries.items():
        layer = modules[target]
        if isinstance(layer, QuantizedLayer):
            found = [modules[name] for name in entry["source"]]
            layer.source = [source for source in found if isinstance(source, ActivationQuantizer)]


def _scheme_name(scheme: Scheme) -> str:
    """The name under which a scheme is registered."""
    return next(name for name, known in SCHEMES.items() if type(known) is type(scheme))
