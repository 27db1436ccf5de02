"""A few quantization-aware steps for a block: quantized, it learns to copy the teacher's feature maps."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data.batches import batches
from evo_qnas.errors import DivergenceError, NetworkError
from evo_qnas.networks.acceleration.devices import channels_last, to_rest, to_training
from evo_qnas.networks.quantization.correction import moments
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import PLAIN, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.tasks.divergence import finite, first_divergent
from evo_qnas.networks.training.features import Features
from evo_qnas.networks.training.noise import noise_to_signal
from evo_qnas.networks.training.optimizers import quantized_optimizer

Key = TypeVar("Key", bound=Hashable)
Refined = Mapping[str, torch.Tensor]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Refinement:
    """Settings of refinement.

    Attributes:
        steps: training steps.
        batch_size: images per step.
        learning_rate: highest rate of weights and biases.
        step_learning_rate: highest rate of the logarithms of step sizes.
        activation_bits: of activations while learning, None for floats; they are calibrated anew for each choice.
    """

    steps: int
    batch_size: int
    learning_rate: float
    step_learning_rate: float
    activation_bits: int | None = None


def refine(
    networks: Mapping[Key, QuantizedNetwork],
    features: Features,
    settings: Refinement,
    *,
    seed: int,
    device: str = "cpu",
) -> dict[Key, float]:
    """Trains quantized candidates of a block in place from the same batches; gives each one's mean loss.

    Weights, biases and the logarithms of step sizes learn by Adam with a cosine rate; the loss is `noise_to_signal`, as
    in `distill`. What is not active stays in floats. Each network ends the same whichever others learn beside it.

    Args:
        networks: calibrated.
        features: the teacher's feature maps before and after the block.
        settings: how long and how fast they learn.
        seed: decides the batches.
        device: where to train.

    Raises:
        DivergenceError: the loss of a network, or a weight at its end, is no number; the others have learnt to the end.

    Source: Esser et al. 2020, LSQ, for learned steps; block by block as in Li et al. 2021, BRECQ, section 3.2, which
    learns roundings where this learns weights.
    """
    if not networks:
        return {}
    for network in networks.values():
        to_training(network, device).eval()
    optimizer, schedule = quantized_optimizer(
        list(networks.values()),
        learning_rate=settings.learning_rate,
        step_learning_rate=settings.step_learning_rate,
        steps=settings.steps,
    )
    variance = features.variance.to(device)
    generator = torch.Generator().manual_seed(seed)
    losses: list[torch.Tensor] = []
    for chosen in batches(len(features), settings.batch_size, settings.steps, generator):
        inputs, targets = (channels_last(part.to(device)) for part in features.take(chosen))
        optimizer.zero_grad(set_to_none=True)
        step_losses = []
        for network in networks.values():
            loss = noise_to_signal(targets, network(inputs), variance, features.channel_axis).mean()
            loss.backward()
            step_losses.append(loss.detach())
        losses.append(torch.stack(step_losses))
        optimizer.step()
        schedule.step()
    for network in networks.values():
        to_rest(network)
    each = torch.stack(losses).cpu().double()
    for index, (key, network) in enumerate(networks.items()):
        step = first_divergent(each[:, index])
        if step is not None or not finite(network):
            when = "after its last step" if step is None else f"in step {step} of {len(each)}"
            raise DivergenceError(
                f"refinement at {key} bits gives no numbers {when}: lower refinement.learning_rate = "
                f"{settings.learning_rate:g} or step_learning_rate = {settings.step_learning_rate:g}"
            )
    return dict(zip(networks, (each.sum(dim=0) / settings.steps).tolist(), strict=True))


def refined_tensors(network: QuantizedNetwork, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Result of refinement for the layers of a block, by their index in it: float weight, bias, scale, output moments.

    Float parts that learnt are called `float.` and their index.

    Args:
        network: refined; its activations are in floats afterwards.
        inputs: of the block, for the mean and standard deviation of each layer's output.
    """
    for quantizer in network.quantizers:
        quantizer.active = False
    tensors: dict[str, torch.Tensor] = {}
    for index, (layer, (mean, deviation)) in enumerate(
        zip(network.layers, moments(network, network.layers, inputs), strict=True)
    ):
        tensors |= {f"{index:03d}.{name}": tensor.detach() for name, tensor in _parts(layer).items()}
        tensors |= {f"{index:03d}.mean": mean, f"{index:03d}.deviation": deviation}
    floats = enumerate(_learnt(network.float_parts.values()))
    return tensors | {f"float.{index:03d}": part.detach() for index, part in floats}


def _learnt(parts: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """The float parts that learn, in the order of the graph."""
    return [part for part in parts if isinstance(part, nn.Parameter)]


def _parts(layer: QuantizedLayer) -> dict[str, torch.Tensor]:
    bias: dict[str, torch.Tensor] = {} if layer.bias is None else {"bias": layer.bias}
    if layer.owner is not layer:
        return bias
    zero_point = {"zero_point": layer.zero_point} if layer.scheme.has_weight_zero_points else {}
    return {"weight": layer.weight, "scale": layer.scale(), **bias, **zero_point}


@torch.no_grad()
def take_refined(network: QuantizedNetwork, tensors: Refined, *, block: str | None = None) -> None:
    """Gives the layers and float parts of a block what `refined_tensors` kept; calibration leaves it from then on.

    Args:
        network: the block's own, or one that it is a part of.
        tensors: of `refined_tensors`.
        block: its name in a larger network, None for the whole.

    Raises:
        NetworkError: the tensors are those of another block.
    """
    layers = [layer for layer in network.layers if block in {None, layer.block}]
    floats = _learnt(part for name, part in network.float_parts.items() if block in {None, network.float_blocks[name]})
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    expected = {f"float.{index:03d}": tuple(part.shape) for index, part in enumerate(floats)}
    for index, layer in enumerate(layers):
        outputs = (layer.channels,)
        own = {name: tuple(tensor.shape) for name, tensor in _parts(layer).items()}
        expected |= {
            f"{index:03d}.{name}": shape for name, shape in (own | {"mean": outputs, "deviation": outputs}).items()
        }
    odd = sorted(name for name in {*shapes, *expected} if shapes.get(name) != expected.get(name))
    if odd:
        raise NetworkError(
            f"refined weights do not fit this block: {odd[0]!r} has the shape {shapes.get(odd[0])}, "
            f"the block needs {expected.get(odd[0])}: delete the files in refined/ and run the card again"
        )
    for index, layer in enumerate(layers):
        own_tensors = {name: tensors[f"{index:03d}.{name}"] for name in (*_parts(layer), "mean", "deviation")}
        if layer.owner is layer:
            layer.weight.copy_(own_tensors["weight"])
        if layer.bias is not None:
            layer.bias.copy_(own_tensors["bias"])
        scale = own_tensors.get("scale", layer.scale())
        layer.keep(scale, (own_tensors["mean"], own_tensors["deviation"]), own_tensors.get("zero_point"))
    for index, part in enumerate(floats):
        part.copy_(tensors[f"float.{index:03d}"])


def with_refined(network: QuantizedNetwork, tensors: Refined | None) -> QuantizedNetwork:
    """A copy of a block's network with refined weights, or `network` itself where there are none."""
    if tensors is None:
        return network
    refined = network.clone()
    take_refined(refined, tensors)
    return refined


def refine_operator(
    module: nn.Module,
    features: Features,
    calibration: Float[torch.Tensor, "n ..."],
    settings: Refinement,
    *,
    weight_bits: Sequence[int],
    seed: int,
    device: str = "cpu",
    scheme: str = DEFAULT_SCHEME,
    recipe: Recipe = PLAIN,
) -> dict[int, dict[str, torch.Tensor]]:
    """Refined weights of an operator, see `refined_tensors`, for each of the weight bits; none where it has no layers.

    Args:
        module: the trained candidate; stays unchanged.
        features: the teacher's feature maps before and after the block.
        calibration: block inputs from train data.
        settings: how long and how fast it learns.
        weight_bits: widths to refine for.
        seed: decides the batches.
        device: where to train.
        scheme: name of the quantization scheme.
        recipe: how calibration finds the codes of weights that it starts from.
    """
    activation = settings.activation_bits or 8
    policy = Policy(fixed=Bits(weight=8, activation=activation), scheme=scheme, recipe=recipe)
    plain = quantize(module, calibration[:2], policy)
    if not plain.layers:
        return {}
    parts = calibration.split(evaluation_batch(calibration))
    networks = {}
    for bits in weight_bits:
        network = networks[bits] = plain.clone()
        network.set_bits(Bits(weight=bits, activation=activation))
        network.calibrate(parts)
        if settings.activation_bits is None:
            for quantizer in network.quantizers:
                quantizer.active = False
    refine(networks, features, settings, seed=seed, device=device)
    return {bits: refined_tensors(network, parts[0]) for bits, network in networks.items()}
