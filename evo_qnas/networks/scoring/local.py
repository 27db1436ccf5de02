"""Scores and costs of every choice of a block, by post-training quantization."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data.nests import Nest, call, parts, rows
from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm, estimate_where_it_helps
from evo_qnas.networks.candidates.blocks import assemble, recording
from evo_qnas.networks.candidates.framing import block_of, put_block
from evo_qnas.networks.quantization.correction import matched_moments
from evo_qnas.networks.quantization.costs import Costs, costs_of
from evo_qnas.networks.quantization.quantize import Bits, Policy, QuantizedNetwork, quantize
from evo_qnas.networks.quantization.quantizers import QuantizedLayer
from evo_qnas.networks.quantization.recipe import PLAIN, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME
from evo_qnas.networks.scoring.calibrated import calibrated, calibrated_in_floats
from evo_qnas.networks.scoring.fisher import foretold_distance
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.training.noise import noise_to_signal
from evo_qnas.networks.training.refine import Refined, take_refined

# Raised where the same module gets another score than before: scores of two versions are not to be mixed.
SCORING = 3


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceScore:
    """One choice of a block with its score and costs.

    Attributes:
        operator: candidate operator.
        weight_bits: 2..8, or 16 or 32 in floats; 0 for an operator without weights.
        activation_bits: 2..8, or 32 in floats; 0 for an operator that computes nothing.
        score: mean noise-to-signal ratio over the search images; 0 is a perfect copy.
        stderr: standard error of that mean over images.
        costs: what the choice adds to a network.
        fisher: distance of the network's outputs that the block's error foretells, see `networks.scoring.fisher`; None
            without gradients.
        fisher_stderr: standard error of that mean over examples.
    """

    operator: str
    weight_bits: int
    activation_bits: int
    score: float
    stderr: float
    costs: Costs
    fisher: float | None = None
    fisher_stderr: float | None = None


@torch.no_grad()
def score_operator(
    operator: str,
    module: nn.Module,
    *,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    calibration: Float[torch.Tensor, "n ..."],
    inputs: Float[torch.Tensor, "s ..."],
    targets: Float[torch.Tensor, "s ..."],
    variance: Float[torch.Tensor, " c"],
    channel_axis: int = 1,
    input_bits: int = 8,
    refined: Mapping[int, Refined] | None = None,
    scheme: str = DEFAULT_SCHEME,
    recipe: Recipe = PLAIN,
    float_bits: Sequence[int] = (),
    gradients: Float[torch.Tensor, "few draws ..."] | None = None,
) -> list[ChoiceScore]:
    """Scores of an operator at every combination of bits, in the order of weight bits, then activation bits.

    Those in floats come last.

    Args:
        operator: its name.
        module: the trained candidate; stays unchanged.
        weight_bits: widths to try.
        activation_bits: widths to try.
        calibration: block inputs from train data, for activation ranges.
        inputs: block inputs of the search images, the teacher's.
        targets: block outputs of the search images, the teacher's.
        variance: (c,) of the targets, see `channel_variance`.
        channel_axis: of the targets, see `BlockShape.channel_axis`.
        input_bits: bits of the block's input, which belongs to whatever comes before it.
        refined: weights that were refined for these weight bits, see `refine_operator`.
        scheme: name of the quantization scheme.
        recipe: how calibration finds the codes of weights.
        float_bits: widths of the parameters at which it is scored in floats.
        gradients: at the block's output, of the first search images, see `output_gradients`; None for no `fisher`.
    """
    policy = Policy(fixed=Bits(weight=8, activation=8), image_bits=input_bits, scheme=scheme, recipe=recipe)
    plain = quantize(module, calibration[:2], policy)
    if not plain.layers and not plain.float_parts and not plain.products:
        measured = _measured(module, inputs, targets, variance, channel_axis=channel_axis, gradients=gradients)
        none = Costs(size_bytes=0, macs=0, bit_operations=0)
        return [ChoiceScore(operator=operator, weight_bits=0, activation_bits=0, costs=none, **measured)]
    scores = []
    for weight, activation, network in chain(
        calibrated(plain, weight_bits, activation_bits, calibration, refined),
        calibrated_in_floats(module, float_bits, calibration, input_bits=input_bits, scheme=scheme),
    ):
        scores.append(
            ChoiceScore(
                operator=operator,
                weight_bits=weight,
                activation_bits=activation,
                costs=costs_of(network, activation, image=False),
                **_measured(network, inputs, targets, variance, channel_axis=channel_axis, gradients=gradients),
            )
        )
    return scores


def _measured(
    network: nn.Module,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    variance: torch.Tensor,
    *,
    channel_axis: int,
    gradients: torch.Tensor | None,
) -> dict[str, float]:
    """Mean and standard error over images: of the noise-to-signal ratio, and of the foretold distance."""
    size = min(evaluation_batch(inputs), evaluation_batch(targets))
    ratios, distances = [], []
    for start in range(0, len(inputs), size):
        target = targets[start : start + size]
        output = network(inputs[start : start + size])
        ratios.append(noise_to_signal(target, output, variance, channel_axis))
        if gradients is not None and start < len(gradients):
            slopes = gradients[start : start + size]
            distances.append(foretold_distance(slopes, (output - target)[: len(slopes)]))
    score, stderr = _mean(ratios)
    if gradients is None:
        return {"score": score, "stderr": stderr}
    fisher, fisher_stderr = _mean(distances)
    return {"score": score, "stderr": stderr, "fisher": fisher, "fisher_stderr": fisher_stderr}


def _mean(parts: Sequence[Float[torch.Tensor, " n"]]) -> tuple[float, float]:
    """Mean and its standard error."""
    values = torch.cat(list(parts)).double()
    return float(values.mean()), float(values.std() / len(values) ** 0.5)


def fixed_costs(
    teacher: nn.Module, example: Nest, blocks: Sequence[str], fixed: Bits, *, scheme: str = DEFAULT_SCHEME
) -> Costs:
    """Costs of everything outside the blocks, the network's input quantizer included."""
    network = quantize(teacher, example, Policy(fixed=fixed, blocks=dict.fromkeys(blocks, fixed), scheme=scheme))
    return costs_of(network, fixed.activation, block="")


def assemble_quantized(
    teacher: nn.Module,
    modules: Mapping[str, nn.Module],
    bits: Mapping[str, Bits],
    fixed: Bits,
    calibration: Nest,
    *,
    refined: Mapping[str, Refined] | None = None,
    scheme: str = DEFAULT_SCHEME,
    recipe: Recipe = PLAIN,
    borrowed: bool = False,
) -> QuantizedNetwork:
    """A network of the teacher's fixed part and the chosen modules, quantized and calibrated on train images.

    Where a block was replaced, what follows it sees other inputs than in training: the statistics of all BatchNorms are
    estimated anew before they are folded. Of a teacher with borrowed weights those stay that do not have to change, see
    `estimate_where_it_helps`.

    Args:
        teacher: the float teacher; stays unchanged.
        modules: per block the trained candidate (absent: the teacher's own).
        bits: per block its bits; blocks whose operator computes nothing may be absent.
        fixed: bits of the fixed part.
        calibration: train images.
        refined: per block the weights that were refined for its bits; blocks without are quantized as they are.
        scheme: name of the quantization scheme.
        recipe: how calibration finds the codes of weights.
        borrowed: the teacher was not trained by us.
    """
    assembled, batches = assemble(teacher, modules), parts(calibration, evaluation_batch(calibration))
    example = rows(calibration, slice(0, 2))
    kept = dict(refined or {})
    policy = Policy(fixed=fixed, blocks=bits, scheme=scheme, recipe=recipe)
    replaced = {name for name, module in modules.items() if module is not block_of(teacher, name)} | set(kept)
    if replaced:
        with _refined_blocks(assembled, example, kept, policy):
            if borrowed:
                estimate_where_it_helps(assembled, teacher, batches, replaced=replaced)
            else:
                estimate_batch_norm(assembled, batches)
    network = quantize(assembled, example, policy)
    for block, tensors in kept.items():
        take_refined(network, tensors, block=block)
    network.calibrate(batches)
    return network


@contextmanager
def _refined_blocks(
    network: nn.Module, example: Nest, refined: Mapping[str, Refined], policy: Policy
) -> Iterator[None]:
    """The blocks with refined weights replace the network's own, their activations in floats."""
    own = {name: block_of(network, name) for name in refined}
    with torch.no_grad(), recording(network, list(refined)) as recorded:
        call(network, example)
    layers: list[QuantizedLayer] = []
    for name, tensors in refined.items():
        block = quantize(own[name], recorded[name][0], replace(policy, fixed=policy.blocks[name], blocks={}))
        take_refined(block, tensors)
        layers += block.layers
        put_block(network, name, block)
    with matched_moments(layers, for_good=False):
        yield
    for name, module in own.items():
        put_block(network, name, module)
