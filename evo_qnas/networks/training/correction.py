"""Least-squares correction of a candidate: its layers fitted in closed form to the teacher's block, before it learns.

Source: He et al. 2017, Channel Pruning for Accelerating Very Deep Neural Networks, section 3.1: once channels are gone,
the weights that read the others are those of least squared error of the layer's output, layer after layer, each on the
inputs that the corrected layers before it give. What differs: a ridge keeps weights near those that they start from,
the last layer of a block makes up for the whole block's error, and a layer stays as it was where the block's error does
not fall.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from evo_qnas.networks.candidates.batch_norm import estimate_batch_norm, has_fresh_statistics, renew_statistics
from evo_qnas.networks.quantization.columns import convolved_columns, linear_columns
from evo_qnas.networks.training.features import Features
from evo_qnas.networks.training.noise import noise_to_signal

# Share of a layer's moments that is added to them, times the present weights. In a trial on two blocks of digits the
# held-out error was the same within a hundredth of itself from 0.001 to 0.03.
_DAMPING = 0.01
# Beside it: keeps columns of inputs that are always 0 solvable.
_LEAST = 1e-6
# Places of the output that layers are fitted on: in the same trial eight times as many lessened the error by a
# hundredth of itself and took twice as long. And the least number of images, since places of one image are much alike.
_PLACES, _LEAST_IMAGES = 2**13, 32
# Layers with more columns stay: their moments would take more than 42 MB, in double precision.
_MOST_COLUMNS = 2304
# Values of the input and the output at once, which fit a processor's cache, and the least number of images.
_VALUES, _BATCH = 2**20, 8
# A tail of a block is a factor per channel where nothing else is left but this share, of rounding.
_AFFINE = 1e-3

Layer = nn.Linear | nn.Conv1d | nn.Conv2d
Batches = Sequence[tuple[Float[torch.Tensor, "n ..."], Float[torch.Tensor, "n ..."]]]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a correction did.

    Attributes:
        layers: names of the layers that were fitted, in the order in which they run.
        before: noise-to-signal ratio of the block on the images that were fitted on.
        after: the same behind it, at most as much.
    """

    layers: tuple[str, ...]
    before: float
    after: float


@torch.no_grad()
def correct(candidate: nn.Module, block: nn.Module, features: Features, *, device: str = "cpu") -> Correction:
    """Fits layers of a candidate in place, in evaluation mode, so that it copies the teacher's block before it learns.

    A layer is fitted to what the block's layer of the same name gives for the same inputs, where that is of the same
    shape, as behind channels that were pruned; the last layer to what makes the whole block right, where nothing but
    sums and factors per channel follow it. A layer whose fit does not lessen the block's error stays as it was, so that
    the error on the images that are fitted on never rises. BatchNorms then get statistics of the new maps, and factors
    that leave what they compute as it is: training, which takes statistics of batches, begins where the fit ends.

    Args:
        candidate: of any operator; BatchNorms that have no statistics yet get them first.
        block: the teacher's, stays as it is.
        features: the teacher's feature maps before and after the block; images are chosen evenly.
        device: where to compute.
    """
    batches = _chosen(features, device)
    candidate.to(device).eval()
    block.to(device).eval()
    start = _state(candidate)
    before = _error(candidate, batches, features)
    if has_fresh_statistics(candidate):
        estimate_batch_norm(candidate, [inputs for inputs, _ in batches])
    fitted: list[str] = []
    error = _error(candidate, batches, features)
    names = _layers(candidate, batches[0][0])
    theirs = _outputs(block, [name for name in names if name in _layers(block, batches[0][0])], batches)
    for name in names:
        state = _state(candidate)
        if not _fit(candidate, name, batches, theirs.get(name), is_last=name == names[-1]):
            continue
        found = _error(candidate, batches, features)
        if found < error:
            error, fitted = found, [*fitted, name]
        else:
            candidate.load_state_dict(state)
    after = before
    if fitted:
        renew_statistics(candidate, [inputs for inputs, _ in batches])
        after = _error(candidate, batches, features)
    if not fitted or not after <= before:
        candidate.load_state_dict(start)
        after, fitted = before, []
    candidate.to("cpu")
    block.to("cpu")
    return Correction(layers=tuple(fitted), before=before, after=after)


def _chosen(features: Features, device: str) -> Batches:
    """Evenly spaced images, a few at a time."""
    inputs, targets = features.take(torch.zeros(1, dtype=torch.int64))
    places = targets[0].numel() // targets.shape[features.channel_axis]
    count = min(len(features), max(_LEAST_IMAGES, -(-_PLACES // max(1, places))))
    chosen = torch.linspace(0, len(features) - 1, count).round().long()
    batch = max(_BATCH, _VALUES // (inputs.numel() + targets.numel()))
    parts = [features.take(part) for part in chosen.split(batch)]
    return [(inputs.to(device), targets.to(device)) for inputs, targets in parts]


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def _error(candidate: nn.Module, batches: Batches, features: Features) -> float:
    """Noise-to-signal ratio over all images."""
    variance = features.variance.to(batches[0][0].device)
    ratios = [
        noise_to_signal(targets, candidate(inputs), variance, features.channel_axis) for inputs, targets in batches
    ]
    return float(torch.cat(ratios).double().mean())


@contextmanager
def _hooked(hooks: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _layers(module: nn.Module, inputs: torch.Tensor) -> list[str]:
    """Names of the plain layers that run once, and share weights with no other, in the order in which they run."""
    ran: list[str] = []
    owners: dict[int, int] = {}
    hooks: dict[nn.Module, Callable[..., Any]] = {}
    for name, part in module.named_modules():
        if type(part) not in {nn.Linear, nn.Conv1d, nn.Conv2d}:
            continue
        owners[id(part.weight)] = owners.get(id(part.weight), 0) + 1
        if _has_columns(part):
            hooks[part] = lambda *_, name=name: ran.append(name)
    with _hooked(hooks):
        module(inputs[:2])
    return [name for name in ran if ran.count(name) == 1 and owners[id(module.get_submodule(name).weight)] == 1]


def _has_columns(layer: nn.Module) -> bool:
    if isinstance(layer, (nn.Conv1d, nn.Conv2d)) and (isinstance(layer.padding, str) or layer.padding_mode != "zeros"):
        return False
    return isinstance(layer.weight, torch.Tensor) and layer.weight[0].numel() <= _MOST_COLUMNS


def _outputs(block: nn.Module, names: Sequence[str], batches: Batches) -> dict[str, list[torch.Tensor]]:
    """What layers of the teacher's block give for each batch."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in names}

    def noting(name: str) -> Callable[..., None]:
        return lambda _module, _arguments, output: found[name].append(output.clone())

    with _hooked({block.get_submodule(name): noting(name) for name in names}):
        for inputs, _ in batches:
            block(inputs)
    return found


def _fit(
    candidate: nn.Module, name: str, batches: Batches, theirs: Sequence[torch.Tensor] | None, *, is_last: bool
) -> bool:
    """Fits a layer to what it should give; False where nothing says what that is, or it gives it already."""
    layer: Any = candidate.get_submodule(name)
    given: list[tuple[torch.Tensor, torch.Tensor]] = []
    behind: list[_BatchNorm] = []
    results: list[torch.Tensor] = []

    def note(_module: nn.Module, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        given.append((arguments[0].clone(), output))

    def is_behind(module: nn.Module, arguments: tuple[torch.Tensor, ...], _output: torch.Tensor) -> None:
        if given and arguments and arguments[0] is given[-1][1] and module not in behind:
            behind.append(module)  # type: ignore[arg-type]  # hooks are on BatchNorms alone

    norms: dict[nn.Module, Callable[..., Any]] = {
        module: is_behind for module in candidate.modules() if isinstance(module, _BatchNorm)
    }
    with _hooked({**norms, layer: note}):
        for inputs, _ in batches:
            results.append(candidate(inputs))
            given[-1] = given[-1][0], given[-1][1].clone()  # a ReLU in place must not reach into it
    slopes = _slopes(candidate, layer, batches[0][0][:2]) if is_last else None
    if slopes is not None:
        pairs = zip(given, results, batches, strict=True)
        wanted = [output + (targets - result) / slopes for (_, output), result, (_, targets) in pairs]
    elif theirs is not None and theirs[0].shape == given[0][1].shape:
        wanted = list(theirs)
    else:
        return False
    if all(torch.allclose(one, output) for one, (_, output) in zip(wanted, given, strict=True)):
        return False
    norm = behind[0] if len(behind) == 1 and behind[0].running_mean is not None else None
    _solve(layer, norm, [inputs for inputs, _ in given], wanted)
    return True


def _slopes(candidate: nn.Module, layer: Layer, inputs: torch.Tensor) -> torch.Tensor | None:
    """Factor of each channel between the layer's output and the block's; None where something else lies between."""
    generator = torch.Generator().manual_seed(0)
    moved: list[torch.Tensor] = []

    def move(_module: nn.Module, _arguments: object, output: torch.Tensor) -> torch.Tensor:
        noise = torch.randn(output.shape, generator=generator).to(output.device)
        moved.append(noise * output.std())
        return output + moved[-1]

    plain = candidate(inputs)
    with _hooked({layer: move}):
        change = candidate(inputs) - plain
    if change.shape != moved[0].shape:
        return None
    axis = _channel_axis(layer, change.ndim)
    places = [other for other in range(change.ndim) if other != axis]
    slopes: torch.Tensor = (change * moved[0]).sum(places, keepdim=True) / moved[0].square().sum(places, keepdim=True)
    rest = (change - slopes * moved[0]).abs().max()
    if not rest <= _AFFINE * change.abs().max() or not bool((slopes.abs() > 1e-6 * slopes.abs().max()).all()):
        return None
    return slopes


def _channel_axis(layer: Layer, ndim: int) -> int:
    return ndim - 1 if isinstance(layer, nn.Linear) else ndim - len(layer.kernel_size) - 1


def _columns(layer: Layer, x: torch.Tensor) -> Float[torch.Tensor, "groups columns samples"]:
    if isinstance(layer, nn.Linear):
        return linear_columns(x)
    stride, dilation, padding = layer.stride, layer.dilation, layer.padding
    assert not isinstance(padding, str)  # _has_columns
    return convolved_columns(
        x, layer.kernel_size, stride=stride, padding=padding, dilation=dilation, groups=layer.groups
    )


def _solve(layer: Any, norm: _BatchNorm | None, inputs: Sequence[torch.Tensor], wanted: Sequence[torch.Tensor]) -> None:
    """Weights of least squared error with a ridge about the present ones; bias or BatchNorm take the mean."""
    sums: list[Any] = [0.0] * 4
    count = 0
    for x, target in zip(inputs, wanted, strict=True):
        columns = _columns(layer, x)
        rows = target.movedim(_channel_axis(layer, target.ndim), 0).flatten(1).unflatten(0, (len(columns), -1))
        turned = columns.transpose(1, 2)
        parts = [columns @ turned, rows @ turned, columns.sum(dim=2), rows.sum(dim=2)]
        sums = [total + part.double() for total, part in zip(sums, parts, strict=True)]
        count += columns.shape[2]
    inner, crossed, mean, goal = (total / count for total in sums)
    absorbed = layer.bias is not None or norm is not None
    if absorbed:
        inner = inner - mean[:, :, None] * mean[:, None, :]
        crossed = crossed - goal[:, :, None] * mean[:, None, :]
    own = inner.diagonal(dim1=1, dim2=2)
    level = own.mean(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    ridge = torch.diag_embed(_DAMPING * (own + level) / 2 + _LEAST * level)
    weight = layer.weight.double().flatten(1).unflatten(0, (len(inner), -1))
    solved = torch.linalg.solve_ex((inner + ridge), (crossed + weight @ ridge).transpose(1, 2)).result.transpose(1, 2)
    layer.weight.copy_(solved.reshape(layer.weight.shape))
    shift = (goal - (solved @ mean[:, :, None])[:, :, 0]).flatten()
    if layer.bias is not None:
        layer.bias.copy_(shift)
    elif norm is not None and norm.running_mean is not None:
        norm.running_mean.sub_(shift)
