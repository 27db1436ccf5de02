"""What tests of TFLite files need."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize

pytest.importorskip("ai_edge_litert", reason="needs the extra tflite: pip install 'evo-qnas[tflite]'")

Function = Callable[..., Any]


class Many(nn.Module):
    """Functions of one input, and of layers, each with a name of its own in what the network gives."""

    def __init__(self, functions: Mapping[str, Function], layers: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.functions, self.layers = dict(functions), nn.ModuleDict(layers or {})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        given = {name: function(x) for name, function in self.functions.items()}
        return given | {name: layer(x) for name, layer in self.layers.items()}


def made(
    functions: Mapping[str, Function], shape: Sequence[int], layers: Mapping[str, Callable[[], nn.Module]] | None = None
) -> tuple[QuantizedNetwork, torch.Tensor]:
    """A calibrated network of functions and layers, and examples."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        module = Many(functions, {name: make() for name, make in (layers or {}).items()})
        examples = torch.randn(6, *shape)
    network = quantize(module.eval(), examples[:2], Policy(fixed=Bits(weight=8, activation=8)))
    network.calibrate([examples])
    return network, examples


def outputs(network: QuantizedNetwork, examples: Any, *, delegate: bool = True) -> Any:
    """What the network's file gives."""
    from evo_qnas.networks.export.tflite.interpreters import interpreter_of, run
    from evo_qnas.networks.export.tflite.translate import to_tflite

    given = [part.numpy() for part in examples] if isinstance(examples, tuple) else examples.numpy()
    return run(interpreter_of(to_tflite(network, upsample=True), delegate=delegate), given)


def differing(network: QuantizedNetwork, examples: Any, *, delegate: bool = True) -> Mapping[str, int]:
    """Quantizers whose codes are more than a step, two behind floats, from those of the reference."""
    from evo_qnas.networks.export.common.walk import walk
    from evo_qnas.networks.export.tflite.translate import Translation
    from evo_qnas.networks.export.tflite.watching import arranged, codes_of

    translation = Translation(network, True)
    content = translation.content()
    given = [part.numpy() for part in examples] if isinstance(examples, tuple) else [examples.numpy()]
    codes = codes_of(content, arranged(network.graph, translation.codes, given), given, delegate=delegate)
    found = walk(network, codes, examples, steps=1)
    assert found.compared >= sum(np.size(codes[node]) for node in translation.codes)
    return found.differing
