"""Scores of choices inside the network: of the teacher with one block replaced, by its output."""

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.nests import Nest, call, joined, length, parts, rows
from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm, estimate_where_it_helps
from evo_qnas.networks.candidates.blocks import assemble
from evo_qnas.networks.candidates.framing import block_of, put_block
from evo_qnas.networks.candidates.operators import TEACHER
from evo_qnas.networks.quantization.quantize import Bits, Policy, quantize
from evo_qnas.networks.quantization.recipe import PLAIN, Recipe
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME
from evo_qnas.networks.scoring.calibrated import calibrated, calibrated_in_floats
from evo_qnas.networks.tasks.base import Task, evaluation_batch
from evo_qnas.networks.training.refine import Refined


@torch.no_grad()
def teacher_outputs(teacher: nn.Module, images: Examples) -> Nest:
    """Outputs of the teacher for all examples, as they are."""
    teacher.eval()
    size = evaluation_batch(images.sample)
    return joined([call(teacher, inputs) for inputs, _ in images.parts(size)])


@torch.no_grad()
def score_in_context(
    teacher: nn.Module,
    block: str,
    operator: str,
    module: nn.Module,
    *,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    features: torch.Tensor,
    calibration: Nest,
    images: Examples,
    outputs: Nest,
    task: Task,
    measure: str,
    refined: Mapping[int, Refined] | None = None,
    scheme: str = DEFAULT_SCHEME,
    recipe: Recipe = PLAIN,
    borrowed: bool = False,
    float_bits: Sequence[int] = (),
) -> list[tuple[float, float]]:
    """Score and its standard error of an operator at every combination of bits, in the order of `score_operator`.

    The statistics of the BatchNorms around a block that was replaced are estimated anew, once per operator.

    Args:
        teacher: the float teacher; stays unchanged.
        block: the one that is replaced.
        operator: name of what it is replaced with.
        module: the trained candidate; stays unchanged.
        weight_bits: widths to try.
        activation_bits: widths to try.
        features: what goes into the block for the calibration images, the teacher's.
        calibration: train images.
        images: search images.
        outputs: of the teacher for them, see `teacher_outputs`.
        task: whose loss is measured.
        measure: `kl`, the Kullback-Leibler divergence from the teacher's output, or `loss`, how much the task's loss
            rises over the teacher's.
        refined: weights that were refined for these weight bits, see `refine_operator`.
        scheme: name of the quantization scheme.
        recipe: how calibration finds the codes of weights.
        borrowed: the teacher was not trained by us: statistics change only behind the block, and where that helps, see
            `estimate_where_it_helps`.
        float_bits: widths of the parameters at which it is scored in floats.

    Source: Molchanov et al. 2022 (LANA) score a candidate by the loss of the teacher with this one layer replaced.
    """
    replaced = assemble(teacher, {block: module})
    batches = parts(calibration, evaluation_batch(calibration))
    if operator != TEACHER and borrowed:
        estimate_where_it_helps(replaced, teacher, batches, replaced=[block])
    elif operator != TEACHER:
        estimate_batch_norm(replaced, batches)
    policy = Policy(fixed=Bits(weight=8, activation=8), image_bits=8, scheme=scheme, recipe=recipe)
    own = block_of(replaced, block)
    plain = quantize(own, features[:2], policy)
    if not plain.layers and not plain.float_parts and not plain.products:
        return [_divergence(replaced, images, outputs, task, measure)]
    scores = []
    for _, _, network in chain(
        calibrated(plain, weight_bits, activation_bits, features, refined),
        calibrated_in_floats(own, float_bits, features, input_bits=8, scheme=scheme),
    ):
        put_block(replaced, block, network)
        scores.append(_divergence(replaced.eval(), images, outputs, task, measure))
    return scores


def _divergence(network: nn.Module, images: Examples, outputs: Nest, task: Task, measure: str) -> tuple[float, float]:
    """Mean over images, and its standard error."""
    size = evaluation_batch(images.sample)
    found = []
    for (inputs, labels), target in zip(images.parts(size), parts(outputs, size), strict=True):
        logits = call(network, inputs)
        if measure == "kl":
            apart = task.match(logits, target)
            found.append(apart.flatten(1).mean(dim=1) if apart.ndim > 1 else apart)
        else:
            each = [
                task.loss(rows(logits, one), rows(labels, one)) - task.loss(rows(target, one), rows(labels, one))
                for one in (slice(row, row + 1) for row in range(length(labels)))
            ]
            found.append(torch.stack(each))
    values = torch.cat(found).double()
    return float(values.mean()), float(values.std() / len(values) ** 0.5)
