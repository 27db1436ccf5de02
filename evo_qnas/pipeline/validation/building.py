"""Quantized networks from the choices of their blocks."""

from collections.abc import Mapping, Sequence

from torch import nn

from evo_qnas.networks.quantization.quantize import Bits, QuantizedNetwork
from evo_qnas.networks.scoring.local import assemble_quantized
from evo_qnas.pipeline.context import RunContext
from evo_qnas.pipeline.refinement import refined_choices
from evo_qnas.summary import BlockChoice
from evo_qnas.tables import Tables


def choices_of(tables: Tables, genome: Sequence[int]) -> tuple[BlockChoice, ...]:
    """The choice of each block."""
    labels = [(block.name, *block.labels[value]) for block, value in zip(tables.blocks, genome, strict=True)]
    return tuple(
        BlockChoice(block=name, operator=operator, weight_bits=weight, activation_bits=activation)
        for name, operator, weight, activation in labels
    )


def bits_of(choices: Sequence[BlockChoice]) -> dict[str, Bits]:
    """Per block its bits; blocks whose operator has none are left out."""
    return {
        row.block: Bits(weight=row.weight_bits, activation=row.activation_bits) for row in choices if row.weight_bits
    }


def modules_of(context: RunContext, choices: Sequence[BlockChoice]) -> Mapping[str, nn.Module]:
    """Per block its trained candidate, or the teacher's own block."""
    return {row.block: context.candidates.trained(row.block, row.operator) for row in choices}


def build_network(context: RunContext, choices: Sequence[BlockChoice]) -> QuantizedNetwork:
    """The quantized network of these choices, with refined weights where there are, calibrated, not fine-tuned."""
    return assemble_quantized(
        context.teacher,
        modules_of(context, choices),
        bits_of(choices),
        context.fixed_bits,
        context.calibration,
        refined=refined_choices(context, choices),
        scheme=context.card.quantization.scheme,
        recipe=context.card.quantization.recipe,
        borrowed=context.borrowed,
    )
