"""Candidates that start from the teacher's own block: narrower copies of it, and weights that fit unchanged."""

from collections.abc import Sequence

import torch
from torch import nn

from evo_qnas.networks.candidates.channels.baking import baked
from evo_qnas.networks.candidates.channels.families import Family, families_of, kept_classes
from evo_qnas.networks.candidates.channels.labelling import Labelling, labelled
from evo_qnas.networks.candidates.channels.narrowing import narrowed
from evo_qnas.networks.candidates.channels.rewriting import Cut, Ragged, kept_of_parameters, rewritten
from evo_qnas.networks.candidates.channels.rules import RULES
from evo_qnas.networks.candidates.channels.tracing import trace

# Side of the maps, and number of tokens, on which a block is followed whose input is not known: larger than the
# windows of common layers.
_SIDE = 32


def families(block: nn.Module, inputs: tuple[int, ...] | None = None) -> tuple[Family, ...]:
    """The channels inside a block that nothing outside sees, by the layers that make them; () where there are none.

    Args:
        block: stays as it is.
        inputs: shape of its input without the batch; None takes maps, signals or tokens of as many channels as its
            first layer reads.
    """
    inputs = inputs or _likely_inputs(block)
    state = _followed(baked(block, inputs), inputs)
    return () if state is None else families_of(state)


def pruned(
    block: nn.Module,
    keep: int,
    multiple: int = 8,
    *,
    skip_sensitive: bool = False,
    inputs: tuple[int, ...] | None = None,
) -> nn.Module | None:
    """A copy of a block that keeps `keep` percent of the channels which nothing outside sees, the most important.

    Which channels go together is read off the block's operations: those of sums, filters, groups, gates and norms, of
    parts that are split and concatenated, and a head of attention as a whole. What is tied to the block's input or
    output stays. Layers that compute their weights from weights become plain ones. None where nothing would go.

    A channel's importance is the norm of the weights that read it times the spread of its values: behind a BatchNorm it
    is taken for normal, with mean beta and deviation |gamma|, and followed through the function behind it; its constant
    part counts nothing, since biases and later means take it up. Without BatchNorm the norm of the weights that make it
    stands for the spread.

    Args:
        block: the teacher's, stays as it is.
        keep: percent, 1..99.
        multiple: numbers of channels are rounded to multiples of it, for the sake of a device's vector instructions: 72
            channels can cost more time than 96. Heads and groups of as many channels are rounded to whole ones.
        skip_sensitive: leave whole what a block cannot do without or what costs little: layers with no shortcut, whose
            channels are all that passes, and branches that see one place of a map beside others that see more. What
            that gains stands in `results/reference/camvid/README.md`.
        inputs: shape of the block's input without the batch, see `families`.

    Source: Fang et al. 2023, DepGraph, for coupled channels; theirs are found from layers, ours from what each
    operation does to every element. Li et al. 2017, Pruning Filters for Efficient ConvNets, section 3.1, ranks by norms
    of weights; here the norm of the reading weights is multiplied by the spread of what they read.

    Example:
        >>> from evo_qnas.networks.models.layers import inverted_residual
        >>> block = inverted_residual(8, 8, kernel=3, expansion=4)
        >>> [family.width for family in families(pruned(block, 50))]
        [16]
    """
    inputs = inputs or _likely_inputs(block)
    block = baked(block, inputs)
    state = _followed(block, inputs)
    if state is None:
        return None
    found = [family for family in families_of(state) if not (skip_sensitive and _is_sensitive(family))]
    cut = _cut(state, found, keep, multiple)
    if cut is None:
        return None
    try:
        return narrowed(block, cut, lambda: _with_another_batch(block, inputs, cut), inputs)
    except Ragged:
        return None


def _likely_inputs(block: nn.Module) -> tuple[int, ...]:
    for module in block.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            return module.in_channels, *(_SIDE,) * (module.weight.ndim - 2)
        if isinstance(module, nn.Linear):
            return _SIDE, module.in_features
    return ()


def _followed(block: nn.Module, inputs: tuple[int, ...], batch: int = 2) -> Labelling | None:
    traced = trace(block, inputs, batch)
    return None if traced is None else labelled(traced, RULES)


def _is_sensitive(family: Family) -> bool:
    """Branches that see one place cost little; without a shortcut a family's channels are all that passes."""
    return family.window == 1 if family.joined else not family.residual


def _cut(state: Labelling, found: Sequence[Family], keep: int, multiple: int) -> Cut | None:
    """The channels that go, of those families whose going leaves tensors; None where none do."""
    going: list[torch.Tensor] = []
    for family in found:
        kept = kept_classes(family, keep, multiple)
        if kept is None:
            continue
        gone = family.classes[~torch.isin(family.classes, kept)]
        if _is_even(_cut_of(state, [gone])):
            going.append(gone)
    if not going:
        return None
    cut = _cut_of(state, going)
    return cut if _is_even(cut) else None


def _cut_of(state: Labelling, going: Sequence[torch.Tensor]) -> Cut:
    stays = torch.ones(len(state.classes), dtype=torch.bool, device="cpu")
    stays[torch.cat(list(going))] = False
    return Cut(state=state, stays=stays)


def _is_even(cut: Cut) -> bool:
    try:
        kept_of_parameters(cut)
        list(rewritten(cut))
    except Ragged:
        return False
    return True


def _with_another_batch(block: nn.Module, inputs: tuple[int, ...], cut: Cut) -> Cut | None:
    """The same channels of the block on a batch of another size, None where it cannot be followed there."""
    state = _followed(block, inputs, cut.state.trace.batch + 1)
    if state is None or len(state.classes) != len(cut.stays):
        return None
    return Cut(state=state, stays=cut.stays)


@torch.no_grad()
def inherit(candidate: nn.Module, block: nn.Module) -> int:
    """Copies into a candidate every weight of the block that has the same name and shape; gives how many.

    A stack of the teacher's own layers but fewer starts as the teacher's first ones; a pyramid with other branches
    keeps those that are the same.
    """
    theirs = block.state_dict()
    fitting = {
        name: theirs[name]
        for name, tensor in candidate.state_dict().items()
        if name in theirs and theirs[name].shape == tensor.shape
    }
    candidate.load_state_dict(fitting, strict=False)
    return len(fitting)
