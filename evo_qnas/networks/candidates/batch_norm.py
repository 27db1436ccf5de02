"""BatchNorm statistics of an assembled network."""

from collections.abc import Collection, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from evo_qnas.data.nests import Nest, call, joined, leaves, parts, rows


@torch.no_grad()
def estimate_batch_norm(network: nn.Module, batches: Iterable[Nest], *, behind: Collection[str] = ()) -> None:
    """Replaces, in place, the running statistics of BatchNorms by those over `batches` of train images.

    Each layer's statistics are those under the new statistics of the layers before it, as in training.

    Args:
        network: in evaluation mode, which it keeps.
        batches: of train images.
        behind: names of submodules; only BatchNorms that run once the first of these has begun are estimated. All are
            where there is no name.

    Source: Yu et al. 2020, BigNAS, section 3.3 (BatchNorm calibration).
    """
    given = list(batches)
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if behind:
        running = _running_behind(network, behind, rows(given[0], slice(0, 2)))
        layers = [layer for layer in layers if layer in running]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for batch in given:
        call(network, batch)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def has_fresh_statistics(network: nn.Module) -> bool:
    """True where a BatchNorm has the statistics that torch gives a new one."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    pairs = [(layer.running_mean, layer.running_var) for layer in layers]
    return any(
        mean is not None and variance is not None and bool((mean == 0.0).all() and (variance == 1.0).all())
        for mean, variance in pairs
    )


@torch.no_grad()
def renew_statistics(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Gives BatchNorms the statistics of their inputs, in place, and factors with which they compute the same.

    Training, which takes statistics of each batch, then goes on from what the network computes. Layers without factors
    stay as they are.

    Args:
        network: in evaluation mode, which it keeps.
        batches: of its inputs.
    """
    sums: dict[nn.Module, torch.Tensor] = {}

    def note(module: nn.Module, arguments: Any) -> None:
        rows = arguments[0].transpose(0, 1).flatten(1).double()
        count = torch.full((len(rows),), rows.shape[1], device=rows.device)
        found = torch.stack([count, rows.sum(1), rows.square().sum(1)])
        sums[module] = sums[module] + found if module in sums else found

    with ExitStack() as stack:
        for module in network.modules():
            if isinstance(module, _BatchNorm) and module.affine and module.track_running_stats:
                stack.callback(module.register_forward_pre_hook(note).remove)
        for batch in batches:
            network(batch)
    for part, (count, total, squares) in sums.items():
        layer: Any = part
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0.0)
        factor = layer.weight / (layer.running_var + layer.eps).sqrt()
        layer.bias.copy_(layer.bias + (mean - layer.running_mean) * factor)
        layer.weight.copy_(factor * (variance + layer.eps).sqrt())
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)


@torch.no_grad()
def estimate_where_it_helps(
    network: nn.Module, teacher: nn.Module, batches: Iterable[Nest], *, replaced: Collection[str]
) -> bool:
    """True where new statistics behind the first replaced block bring the outputs nearer to the teacher's.

    They are estimated on every other image and judged on the rest; where they help they are estimated once more, on all
    images, and where they do not, `network` keeps its own. A teacher of others has its statistics from more and other
    images than are at hand: with them a network may be nearer to it than with new ones.

    Args:
        network: the teacher with some blocks replaced, in evaluation mode; changed in place.
        teacher: the float teacher.
        batches: of train images, at least two images together.
        replaced: names of the submodules that are not the teacher's own.
    """
    examples = joined(list(batches))
    estimating, judging = (parts(rows(examples, slice(first, None, 2)), _BATCH) for first in (0, 1))
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [{name: value.clone() for name, value in layer.state_dict().items()} for layer in layers]
    error = output_error(network, teacher, judging)
    estimate_batch_norm(network, estimating, behind=replaced)
    if output_error(network, teacher, judging) < error:
        estimate_batch_norm(network, parts(examples, _BATCH), behind=replaced)
        return True
    for layer, state in zip(layers, before, strict=True):
        layer.load_state_dict(state)
    return False


# Images at once: bounds memory, and statistics of a batch are means over at least some images.
_BATCH = 64


def _running_behind(network: nn.Module, names: Collection[str], example: Nest) -> set[nn.Module]:
    """The BatchNorms that run inside or after the first of the named submodules."""
    begun: list[bool] = []
    running: set[nn.Module] = set()

    def begin(*_: Any) -> None:
        begun.append(True)

    def note(module: nn.Module, _arguments: Any) -> None:
        if begun:
            running.add(module)

    with ExitStack() as stack:
        # Before those of the BatchNorms, one of which may be a named submodule itself.
        for name in names:
            stack.callback(network.get_submodule(name).register_forward_pre_hook(begin).remove)
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                stack.callback(module.register_forward_pre_hook(note).remove)
        call(network, example)
    return running


def output_error(network: nn.Module, teacher: nn.Module, batches: Collection[Nest]) -> float:
    """Squared distance of all outputs from the teacher's."""
    error = 0.0
    for batch in batches:
        ours, theirs = leaves(call(network, batch)), leaves(call(teacher, batch))
        for one, other in zip(ours, theirs, strict=True):
            if one.is_floating_point():
                error += float((one - other).double().square().sum())
    return error
