"""A quantized network: calibration, the stored integers, and running it in floats."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.exporting import Example, batch_size
from evo_qnas.networks.capture.graph import float_part_name, static_batch, value
from evo_qnas.networks.capture.pieces import in_pieces, run_on
from evo_qnas.networks.quantization.floats import HALF, bits_of_product, rounded_to_half
from evo_qnas.networks.quantization.fusing import clone, fuse
from evo_qnas.networks.quantization.policy import Bits
from evo_qnas.networks.quantization.quantizers import ActivationQuantizer, QuantizedLayer
from evo_qnas.networks.quantization.recipe import DEFAULT_ROUNDING, PLAIN, ROUNDINGS, Recipe


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A product of two activations, or one of weights that stay in floats.

    Attributes:
        block: to which it belongs, "" for the fixed part.
        macs: multiplications per image.
        bits: of weights and activations where it is computed in floats, None for the activations' own.
    """

    block: str
    macs: int
    bits: tuple[int, int] | None = None


@final
class QuantizedNetwork(nn.Module):
    """A network whose every layer and activation is quantized, ready to calibrate, run, fine-tune and store.

    Attributes:
        graph: the captured graph with quantizers in it.
        layers: convolutions, linear layers and embeddings in graph order, each once.
        quantizers: activation quantizers in graph order, those of the network's inputs first.
        inputs: how many of them are the inputs'.
        products: products of two activations, and of weights that stay in floats.
        float_blocks: by name of each float part the block that reads it, "" for the fixed part.
        halves: names of the float parts that are stored at 16 bits.
        recipe: how calibration finds the codes of weights.
    """

    def __init__(self, graph: fx.GraphModule, *, recipe: Recipe = PLAIN) -> None:
        super().__init__()
        self.graph, self.recipe = graph, recipe
        targets = dict.fromkeys(str(n.target) for n in graph.graph.nodes if n.op == "call_module")
        modules = [graph.get_submodule(target) for target in targets]
        self.layers = tuple(m for m in modules if isinstance(m, QuantizedLayer))
        self.quantizers = tuple(m for m in modules if isinstance(m, ActivationQuantizer))
        self.inputs = sum(1 for n in graph.graph.nodes if n.meta.get("input_quantizer"))
        self.products = tuple(
            Product(block=str(n.meta.get("block", "")), macs=n.meta["macs"], bits=bits_of_product(n))
            for n in graph.graph.nodes
            if n.op == "call_function" and n.meta.get("macs")
        )
        self.float_blocks = {
            float_part_name(n): str(n.meta.get("block", "")) for n in graph.graph.nodes if value(graph, n) is not None
        }
        self.halves = frozenset(
            float_part_name(n) for n in graph.graph.nodes if n.meta.get(HALF) and value(graph, n) is not None
        )
        self._running = fuse(graph)

    @property
    def folded_macs(self) -> int:
        """Multiplications of the float network that depend on no input: they were done at capture, and never again."""
        return int(self.graph.meta.get("folded_macs", 0))

    @property
    def float_parts(self) -> dict[str, torch.Tensor]:
        """What stays as it is, by stored name: parameters that learn, other tensors as buffers."""
        tensors = {float_part_name(node): value(self.graph, node) for node in self.graph.graph.nodes}
        return {name: tensor for name, tensor in tensors.items() if tensor is not None}

    def clone(self) -> "QuantizedNetwork":
        """An independent copy, in the same state."""
        return QuantizedNetwork(clone(self.graph), recipe=self.recipe)

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the captured network gives, in the same nesting of tuples, lists and dicts; float32."""
        size = static_batch(self.graph)
        if size is None or batch_size((arguments, keywords)) == size:
            return self._running(self.graph, *arguments, **keywords)
        return in_pieces(self._run, size, arguments, keywords)

    def _run(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        return self._running(self.graph, *arguments, **keywords)

    def set_bits(self, bits: Bits) -> None:
        """Gives every layer and activation but the inputs the same bits; calibrate afterwards.

        Raises:
            NetworkError: they are those of floats, which `quantize` alone can give.
        """
        if bits.in_floats:
            raise NetworkError("layers with codes cannot become floats: quantize the network with these bits")
        for layer in self.layers:
            layer.bits = bits.weight
        for quantizer in self.quantizers[self.inputs :]:
            quantizer.bits = bits.activation

    @torch.no_grad()
    def calibrate_weights(self, batches: Iterable[Example]) -> None:
        """Finds the weights' codes, then watches activations (unquantized) on `batches` for `calibrate_activations`.

        How codes are found, and biases with them, is the recipe's. Refined layers keep their codes and count as the
        target, see `matched_moments`.
        """
        parts = list(batches)
        for layer in self.layers:
            layer.active = layer.kept is not None
            layer.correct(None)
            layer.replace(None)
        for quantizer in self.quantizers:
            quantizer.active, quantizer.watching, quantizer.observed = False, False, []
        # Pieces of a fixed number of examples would not be those that a rounding asks for.
        name = self.recipe.rounding if static_batch(self.graph) is None else DEFAULT_ROUNDING
        ROUNDINGS.get(name).fit(self, self.layers, parts, self.recipe)
        for quantizer in self.quantizers:
            quantizer.watching = True
        for batch in parts:
            run_on(self, batch)
        for quantizer in self.quantizers:
            quantizer.watching = False

    @torch.no_grad()
    def calibrate_activations(self) -> None:
        """Fits every activation's scale and zero point for its present bits from what was watched."""
        for quantizer in self.quantizers:
            quantizer.fit()
        for layer in self.layers:
            layer.fit_bias()

    def calibrate(self, batches: Iterable[Example]) -> None:
        """Post-training quantization: weights by least squared error, then activations on `batches` (train data)."""
        self.calibrate_weights(batches)
        self.calibrate_activations()
        for quantizer in self.quantizers:
            quantizer.observed = []

    @torch.no_grad()
    def round_halves(self) -> None:
        """Rounds the float parts that are stored at 16 bits to such numbers; they learn in 32."""
        for name, tensor in self.float_parts.items():
            if name in self.halves:
                tensor.copy_(rounded_to_half(tensor))

    def stored(self) -> dict[str, torch.Tensor]:
        """The tensors a device needs, see `QuantizedLayer.stored` and `ActivationQuantizer.stored`, and float parts."""
        tensors: dict[str, torch.Tensor] = {}
        for layer in self.layers:
            tensors |= layer.stored()
        for quantizer in self.quantizers:
            tensors |= quantizer.stored()
        return tensors | self.stored_floats()

    def stored_floats(self) -> dict[str, torch.Tensor]:
        """The float parts at the width at which they are stored."""
        return {
            name: rounded_to_half(tensor) if name in self.halves else tensor.detach()
            for name, tensor in self.float_parts.items()
        }

    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Takes over what `stored` gave; the outputs are then those of the stored network.

        Raises:
            NetworkError: a tensor is missing or has another shape.
        """
        try:
            # Quantizers first: biases need the scales of their inputs.
            for quantizer in self.quantizers:
                quantizer.restore(tensors)
            for layer in self.layers:
                layer.restore(tensors)
            for name, tensor in self.float_parts.items():
                _take(tensor, tensors[name], torch.float16 if name in self.halves else tensor.dtype)
        except (KeyError, RuntimeError) as error:
            raise NetworkError(f"the stored weights do not fit this network: {error}") from error


@torch.no_grad()
def _take(tensor: torch.Tensor, stored: torch.Tensor, kind: torch.dtype) -> None:
    """Copies a stored float part of the same shape, and of the type in which it is stored."""
    if tensor.shape != stored.shape or stored.dtype != kind:
        raise RuntimeError(f"a float part has the shape {tuple(stored.shape)}, not {tuple(tensor.shape)}")
    tensor.copy_(stored)
