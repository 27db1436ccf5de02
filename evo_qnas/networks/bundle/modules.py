"""Layers and quantizers of a graph as JSON, and back without their numbers, which `restore` brings."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.bundle.arguments import argument_json, argument_of, target_of, target_text
from evo_qnas.networks.quantization.quantizers import MAX_BITS, MIN_BITS, ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.scheme import SCHEMES, Scheme


def module_json(module: nn.Module, names: Mapping[int, str]) -> dict[str, Any]:
    """What a layer or quantizer is made with.

    Args:
        module: of a quantized graph.
        names: targets of all modules by identity, for the source of a layer's bias and the owner of its weights.

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
            "calls": module.calls,
            "shared": module.shared,
            "weights_of": None if module.owner is module else names[id(module.owner)],
            "source": [names[id(source)] for source in module.source],
        }
    raise NetworkError(f"a bundle holds layers and quantizers, not {type(module).__name__}")


def modules_of(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, nn.Module]:
    """The layers and quantizers of all entries, their numbers all 0, layers with the quantizers of their inputs."""
    made: dict[str, nn.Module] = {}
    # Owners of weights first.
    for target, entry in sorted(entries.items(), key=lambda item: item[1].get("weights_of") is not None):
        made[target] = _module_of(entry, made)
    for target, entry in entries.items():
        layer = made[target]
        if isinstance(layer, QuantizedLayer):
            found = [made[name] for name in entry["source"]]
            layer.source = [source for source in found if isinstance(source, ActivationQuantizer)]
    return {target: made[target] for target in entries}


def _module_of(entry: Mapping[str, Any], made: Mapping[str, nn.Module]) -> nn.Module:
    bits = entry["bits"]
    if type(bits) is not int or not MIN_BITS <= bits <= MAX_BITS:
        raise NetworkError(f"the bundle's graph holds {bits!r:.60} bits: {MIN_BITS} to {MAX_BITS} are possible")
    scheme = SCHEMES.get(entry["scheme"])
    if entry["kind"] == "quantizer":
        return ActivationQuantizer(name=entry["name"], block=entry["block"], bits=entry["bits"], scheme=scheme)
    owner = None if entry["weights_of"] is None else made[entry["weights_of"]]
    layer = QuantizedLayer(
        name=entry["name"],
        block=entry["block"],
        bits=entry["bits"],
        operation=target_of(entry["operation"]),
        arguments=tuple(argument_of(entry["arguments"], {})),
        weight=torch.zeros(entry["shape"]),
        bias=torch.zeros(entry["outputs"]) if entry["bias"] else None,
        macs=entry["macs"],
        scheme=scheme,
        weights_of=owner if isinstance(owner, QuantizedLayer) else None,
    )
    layer.calls, layer.shared = entry["calls"], entry["shared"]
    return layer


def _scheme_name(scheme: Scheme) -> str:
    """The name under which a scheme is registered."""
    return next(name for name, known in SCHEMES.items() if type(known) is type(scheme))
