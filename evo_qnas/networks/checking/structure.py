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
    free = all(isinstance(part, _ANY_SIZE) or not _holds_tensors(part) for part in module.modules())
    known = all(isinstance(part, _ANY_SIZE) or _ours(part) for part in module.modules())
    sizes = _sizes(shape.inputs, shape.channel_axis), _sizes(shape.outputs, shape.channel_axis)
    if free and known:
        sizes = tuple(tuple(min(size, 2) for size in part) for part in sizes)  # type: ignore[assignment]
    return (tuple(parts), sizes, shape.channel_axis, shape.inputs == shape.outputs)


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
