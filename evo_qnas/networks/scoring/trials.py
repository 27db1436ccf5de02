"""Parts of a quantized network, rounded or not as asked for, and the noise that this makes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch

from evo_qnas.data.nests import Nest, call, leaves
from evo_qnas.errors import NetworkError
from evo_qnas.networks.quantization.correction import correct_biases, observe
from evo_qnas.networks.quantization.network import QuantizedNetwork
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer

WEIGHTS, ACTIVATIONS = "weights", "activations"


@final
@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Weights and bias of a layer."""

    weight: torch.Tensor
    bias: torch.Tensor | None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Layers that have weights in common, or a quantizer, by their places in the network."""

    name: str
    module: str
    block: str
    kind: str
    bits: int
    places: tuple[int, ...]


def parts_of(network: QuantizedNetwork) -> list[Part]:
    """Parts in the order of the graph: weights, then activations."""
    paths = _paths_of(network)
    found = []
    for layer in network.layers:
        if layer.owner is layer:
            places = tuple(index for index, other in enumerate(network.layers) if other.owner is layer)
            found.append(Part(layer.name, paths.get(id(layer), ""), layer.block, WEIGHTS, layer.bits, places))
    for place, quantizer in enumerate(network.quantizers):
        path = paths.get(id(quantizer), "")
        found.append(Part(quantizer.name, path, quantizer.block, ACTIVATIONS, quantizer.bits, (place,)))
    return [part for part in found if _rounds(network, part)]


def _rounds(network: QuantizedNetwork, part: Part) -> bool:
    """True where a part is rounded now."""
    modules = network.layers if part.kind == WEIGHTS else network.quantizers
    return any(modules[place].active for place in part.places)


def _paths_of(network: QuantizedNetwork) -> dict[int, str]:
    """Module paths by identity of layer or quantizer."""
    paths = {}
    for node in network.graph.graph.nodes:
        if node.op == "call_module":
            stack = list((node.meta.get("nn_module_stack") or {}).values())
            paths[id(network.graph.get_submodule(str(node.target)))] = str(stack[-1][0]) if stack else ""
    return paths


@final
class Trial:
    """A copy of the network whose parts are rounded or not, as asked for."""

    def __init__(self, network: QuantizedNetwork, floats: QuantizedNetwork, batches: Sequence[Nest]) -> None:
        """Runs the network in floats once."""
        self._network, self._batches = network.clone().eval(), batches
        self.parts = parts_of(network)
        layers, others = self._network.layers, floats.layers
        if [layer.name for layer in layers] != [layer.name for layer in others] or any(
            one.weight.shape != other.weight.shape for one, other in zip(layers, others, strict=True)
        ):
            raise NetworkError(
                "the network in floats has other layers than the quantized one: build both from one card"
            )
        self._rounded, self._floats = [_state(layer) for layer in layers], [_state(layer) for layer in others]
        last = {quantizer.block: quantizer for quantizer in self._network.quantizers if quantizer.block}
        self.ends: Sequence[str] = list(last)
        self._last = last
        self._set(())
        outputs, ends = self._run(self.ends)
        self.examples = sum(len(leaves(batch)[0]) for batch in batches)
        self._outputs = outputs
        self._signal = _signal(outputs)
        self._ends, self._end_signals = ends, {name: _signal([values]) for name, values in ends.items()}
        if not self._signal:
            raise NetworkError(
                "the outputs in floats are the same for every example: there is no signal to compare noise with"
            )

    def watch(self, batches: Sequence[Nest]) -> None:
        """Shows the network inputs on which parts can be fitted anew: layers in floats, activations as rounded."""
        self._set(())
        self._batch = batches[0]
        self._statistics = observe(self._network, self._network.layers, self._batch)
        self._set(self.parts)
        for quantizer in self._network.quantizers:
            quantizer.watching, quantizer.observed = True, []
        for batch in batches:
            call(self._network, batch)
        for quantizer in self._network.quantizers:
            quantizer.watching = False

    def noise(self, rounded: Sequence[Part], ends: Sequence[str] = ()) -> tuple[float, dict[str, float]]:
        """Noise at the outputs and at the ends of blocks where these parts are rounded, all else in floats."""
        self._set(rounded)
        return self.measured(ends)

    def measured(self, ends: Sequence[str]) -> tuple[float, dict[str, float]]:
        """Noise of the network as it is now."""
        outputs, at_ends = self._run([name for name in ends if name])
        noise = _error(outputs, self._outputs) / self._signal
        found = dict.fromkeys(ends, float("nan"))
        for name, values in at_ends.items():
            if self._end_signals[name]:
                found[name] = _error([values], [self._ends[name]]) / self._end_signals[name]
        return noise, found

    @contextmanager
    def changed(self, part: Part) -> Iterator[None]:
        """The whole network rounded, for a change of one part that is taken back."""
        self._set(self.parts)
        modules = self._modules(part)
        kept = [(module.bits, module.scale().detach().clone(), _zeros(module).clone()) for module in modules]
        yield
        for module, (bits, scale, zeros) in zip(modules, kept, strict=True):
            module.bits = bits
            module.scale.set(scale)
            _set_zeros(module, zeros)

    def fit_anew(self, part: Part, bits: int) -> None:
        """Finds a part's codes again from its floats, at these bits, to the nearest code; then its biases."""
        if part.kind == ACTIVATIONS:
            for quantizer in self._modules(part):
                quantizer.bits = bits
                quantizer.fit()
            return
        layers = [self._network.layers[place] for place in part.places]
        for place, layer in zip(part.places, layers, strict=True):
            layer.bits = bits
            self._take(place, self._floats[place])
            layer.fit(self._statistics[place].squares)
        correct_biases(self._network, layers, [self._statistics[place] for place in part.places], self._batch)

    def _take(self, place: int, state: State) -> None:
        """Gives a layer weights and bias; they are never written to."""
        layer = self._network.layers[place]
        layer.weight.data = state.weight
        if layer.bias is not None and state.bias is not None:
            layer.bias.data = state.bias.clone()

    def _modules(self, part: Part) -> list[QuantizedLayer | ActivationQuantizer]:
        modules = self._network.layers if part.kind == WEIGHTS else self._network.quantizers
        return [modules[place] for place in part.places]

    def _set(self, rounded: Sequence[Part]) -> None:
        """Rounds these parts and no other."""
        layers = {place for part in rounded if part.kind == WEIGHTS for place in part.places}
        quantizers = {place for part in rounded if part.kind == ACTIVATIONS for place in part.places}
        for place, layer in enumerate(self._network.layers):
            layer.active = place in layers
            self._take(place, (self._rounded if layer.active else self._floats)[place])
        for place, quantizer in enumerate(self._network.quantizers):
            quantizer.active = place in quantizers

    def _run(self, ends: Sequence[str]) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
        """Outputs, and what blocks give, for all examples."""
        seen: dict[str, list[torch.Tensor]] = {name: [] for name in ends}
        hooks = [
            self._last[name].register_forward_hook(lambda _module, _given, output, to=seen[name]: to.append(output))
            for name in ends
        ]
        try:
            given = [leaves(call(self._network, batch)) for batch in self._batches]
        finally:
            for hook in hooks:
                hook.remove()
        outputs = [torch.cat([_rows(one) for one in column]) for column in zip(*given, strict=True)]
        return outputs, {name: torch.cat(values) for name, values in seen.items()}


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    return (tensor if tensor.ndim else tensor[None]).float()


def _state(layer: QuantizedLayer) -> State:
    return State(layer.weight.detach().clone(), None if layer.bias is None else layer.bias.detach().clone())


def _zeros(module: QuantizedLayer | ActivationQuantizer) -> torch.Tensor:
    return module.zeros if isinstance(module, QuantizedLayer) else module.zero_point


def _set_zeros(module: QuantizedLayer | ActivationQuantizer, zeros: torch.Tensor) -> None:
    if isinstance(module, QuantizedLayer):
        module.zeros = zeros
    else:
        module.zero_point = zeros


def _signal(outputs: Sequence[torch.Tensor]) -> float:
    """Squared deviation of all outputs from their means over examples."""
    return sum(float((tensor - tensor.mean(dim=0, keepdim=True)).double().square().sum()) for tensor in outputs)


def _error(outputs: Sequence[torch.Tensor], targets: Sequence[torch.Tensor]) -> float:
    return sum(float((one - other).double().square().sum()) for one, other in zip(outputs, targets, strict=True))
