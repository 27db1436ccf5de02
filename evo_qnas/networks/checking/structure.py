"""The structure of a module without its widths: two candidates with the same one are captured and translated alike."""

from typing import Any

from torch import nn

from evo_qnas.networks.candidates.blocks import BlockShape

# Numbers of channels: what capture, quantization and translation do not ask for.
_WIDTHS = frozenset({"in_channels", "out_channels", "num_features", "in_features", "out_features", "num_channels"})
# Layers that do the same to maps of any size.
_ANY_SIZE = (
    *(nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm, nn.Sequential),
    *(nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.GELU, nn.LeakyReLU, nn.Identity),
)
_PLAIN = (int, float, bool, str, tuple, type(None))


def structure_of(module: nn.Module, shape: BlockShape) -> tuple[Any, ...]:
    """A key of a candidate: its modules, their settings but the widths, and what of the shapes may matter.

    Odd windows that keep the size of maps are one kind, whatever their size. Sizes of maps count as one or more where
    every layer is one of torch's that does the same to any of them, else as they are.
    """
    parts = [(name, _settings(part)) for name, part in module.named_modules()]
    sizes = _sizes(shape.inputs, shape.channel_axis), _sizes(shape.outputs, shape.channel_axis)
    if _takes_any_size(module):
        sizes = tuple(tuple(min(size, 2) for size in part) for part in sizes)  # type: ignore[assignment]
    return (tuple(parts), sizes, shape.channel_axis, shape.inputs == shape.outputs)


def parts_of(module: nn.Module) -> frozenset[Any]:
    """Keys of the layers of a stack; none where one may depend on its neighbours, or on the size of maps.

    A layer that begins with a convolution reads codes, whatever gave them, so that a stack of such goes through where
    each of them does.
    """
    layers = list(module) if type(module) is nn.Sequential else []
    if not all(_begins_with_convolution(layer) for layer in layers) or not _takes_any_size(module):
        return frozenset()
    return frozenset(tuple((name, _settings(part)) for name, part in layer.named_modules()) for layer in layers)


def _begins_with_convolution(layer: nn.Module) -> bool:
    """True for what is made of several, the first of which is a convolution."""
    leaves = [part for part in layer.modules() if not list(part.children())]
    return leaves[0] is not layer and isinstance(leaves[0], (nn.Conv1d, nn.Conv2d))


def _takes_any_size(module: nn.Module) -> bool:
    """True where every layer is one of torch's that does the same to maps of any size, or made of such by us."""
    return all(isinstance(part, _ANY_SIZE) or (_ours(part) and not _holds_tensors(part)) for part in module.modules())


def _settings(module: nn.Module) -> tuple[Any, ...]:
    """Class and plain attributes of a module; groups are none, all channels, or some."""
    values = {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, _PLAIN) and not name.startswith("_") and name not in _WIDTHS and name != "training"
    }
    if isinstance(module, (nn.Conv1d, nn.Conv2d)):
        alone = module.groups == module.in_channels == module.out_channels
        values["groups"] = "each" if alone and module.groups > 1 else min(module.groups, 2)
        if _keeps_size(module):
            values["kernel_size"], values["padding"] = tuple(min(taps, 3) for taps in module.kernel_size), "same"
    tensors = tuple((name, tensor.ndim, str(tensor.dtype)) for name, tensor in module.named_parameters(recurse=False))
    kind = type(module)
    return (kind.__module__, kind.__qualname__, tuple(sorted(values.items(), key=str)), tensors)


def _keeps_size(module: nn.Conv1d | nn.Conv2d) -> bool:
    """True where odd windows and zeros around keep the size of maps, but for the stride."""
    windows = zip(module.kernel_size, module.padding, module.dilation, strict=False)
    return not isinstance(module.padding, str) and all(
        taps % 2 == 1 and zeros == rate * (taps // 2) for taps, zeros, rate in windows
    )


def _holds_tensors(module: nn.Module) -> bool:
    return bool(list(module.parameters(recurse=False)) or list(module.buffers(recurse=False)))


def _ours(module: nn.Module) -> bool:
    return type(module).__module__.startswith("evo_qnas.")


def _sizes(shape: tuple[int, ...], channel_axis: int) -> tuple[int, ...]:
    return tuple(size for axis, size in enumerate(shape, start=1) if axis != channel_axis)
