"""Cutting a teacher into blocks, and replacing them by other modules."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import nn

from evo_qnas.cards import nearest
from evo_qnas.data.nests import Nest, call
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.framing import block_of, called, put_block


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockShape:
    """A block of a teacher: its name and the shapes that go in and out, without the batch.

    Attributes:
        name: submodule name, as in `block_of(teacher, name)`.
        inputs: (channels, height, width) or whatever the block takes.
        outputs: the same for what it gives.
        dilation: that of the block's convolutions with more than one tap, their median; 1 where it has none.
        channel_axis: axis of the channels, examples being axis 0: 1 of maps and vectors, the last one of tokens and of
            maps with channels last.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    dilation: int = 1
    channel_axis: int = 1

    @property
    def is_map(self) -> bool:
        """True where the block makes maps (channels, height, width) into maps."""
        return len(self.inputs) == len(self.outputs) == 3 and self.channel_axis == 1

    @property
    def dims(self) -> int:
        """Axes beside the channels: 2 of maps, 1 of signals and tokens, 0 of vectors and where ranks differ."""
        return len(self.inputs) - 1 if len(self.inputs) == len(self.outputs) else 0

    @property
    def channels_last(self) -> bool:
        """True where the channels are the last axis of maps or tokens."""
        return self.dims > 0 and self.channel_axis == len(self.inputs)

    @property
    def channels(self) -> tuple[int, int]:
        """Channels that go in and out."""
        return self.inputs[self.channel_axis - 1], self.outputs[self.channel_axis - 1]

    @property
    def sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Sizes of the map that goes in and of the one that comes out, without the channels."""
        before, after = (
            tuple(size for axis, size in enumerate(shape, start=1) if axis != self.channel_axis)
            for shape in (self.inputs, self.outputs)
        )
        return before, after

    @property
    def strides(self) -> tuple[int, ...]:
        """Per axis of the map the factor by which the output is smaller than the input; 1 where it is larger."""
        if not self.dims:
            return ()
        return tuple(max(1, round(before / max(1, after))) for before, after in zip(*self.sizes, strict=True))

    @property
    def stride(self) -> int:
        """The largest of the strides, 1 where there are none."""
        return max(self.strides, default=1)


def find_blocks(teacher: nn.Module, names: Sequence[str], example: Nest) -> tuple[BlockShape, ...]:
    """The blocks called `names`, with the shapes found by running `teacher` on `example`.

    Raises:
        NetworkError: a name is unknown (the nearest ones are listed), lies inside another block, or its submodule does
            not take one tensor and give one, constants and containers aside, or is not called exactly once.
    """
    if not names:
        raise NetworkError("blocks.names is empty: name at least one submodule of the teacher")
    known = [name for name, _ in teacher.named_modules() if name]
    for name in names:
        if name not in known:
            raise NetworkError(f"the teacher has no submodule {name!r}; {nearest(name, known)}")
        if list(names).count(name) > 1:
            raise NetworkError(f"block {name!r} is named twice")
        for other in names:
            if name.startswith(f"{other}."):
                raise NetworkError(f"block {name!r} lies inside block {other!r}: name one of the two")
    with torch.no_grad(), recording(teacher, names) as recorded, _layers_read(teacher) as read:
        call(teacher.eval(), example)
    shapes = []
    for name in names:
        if name not in recorded:
            raise NetworkError(f"block {name!r} is never called when the teacher runs")
        before, after = recorded[name]
        dilation = dilation_of(teacher.get_submodule(name))
        layers = [(kind, shape) for layer, kind, shape in read if f"{layer}.".startswith(f"{name}.")]
        channel_axis = channel_axis_of(before, after, layers)
        inputs, outputs = tuple(before.shape[1:]), tuple(after.shape[1:])
        shapes.append(
            BlockShape(name=name, inputs=inputs, outputs=outputs, dilation=dilation, channel_axis=channel_axis)
        )
    return tuple(shapes)


def dilation_of(block: nn.Module) -> int:
    """Median dilation of a block's convolutions of more than one tap."""
    modules = list(block.modules())
    kind = nn.Conv2d if any(isinstance(module, nn.Conv2d) for module in modules) else nn.Conv1d
    convolutions = [module for module in modules if isinstance(module, kind) and max(module.kernel_size) > 1]
    dilations = sorted(int(module.dilation[0]) for module in convolutions)
    return dilations[len(dilations) // 2] if dilations else 1


# Layers whose channels are the second axis, and those whose channels are the last.
_SECOND, _LAST = (nn.Conv1d, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm), (nn.Linear, nn.LayerNorm)


def channel_axis_of(
    before: torch.Tensor, after: torch.Tensor, layers: Sequence[tuple[type[nn.Module], tuple[int, ...]]]
) -> int:
    """The axis of the channels of a block, from the layers in it that read a tensor of its input's shape.

    Where none of them says it, tensors of three axes are tokens with channels last unless there are 1-D convolutions,
    and others have channels second.

    Args:
        before: what goes in.
        after: what comes out.
        layers: class and input shape of the block's layers.
    """
    readers = [kind for kind, shape in layers if shape == tuple(before.shape) and before.ndim == after.ndim]
    if any(issubclass(kind, _SECOND) for kind in readers):
        return 1
    if after.ndim > 2 and any(issubclass(kind, _LAST) for kind in readers):
        return after.ndim - 1
    return 2 if after.ndim == 3 and not any(issubclass(kind, nn.Conv1d) for kind, _ in layers) else 1


@contextmanager
def _layers_read(teacher: nn.Module) -> Iterator[list[tuple[str, type[nn.Module], tuple[int, ...]]]]:
    """Yields a list that a run of the teacher fills with name, class and input shape of its layers with channels."""
    read: list[tuple[str, type[nn.Module], tuple[int, ...]]] = []

    def note(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, arguments: tuple[object, ...]) -> None:
            if arguments and isinstance(arguments[0], torch.Tensor):
                read.append((name, type(module), tuple(arguments[0].shape)))

        return hook

    layers = [(name, module) for name, module in teacher.named_modules() if isinstance(module, (*_SECOND, *_LAST))]
    handles = [module.register_forward_pre_hook(note(name)) for name, module in layers]
    try:
        yield read
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def recording(teacher: nn.Module, names: Sequence[str]) -> Iterator[dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Yields a dict that each run of the teacher fills with (input, output) of every named block."""
    recorded: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    calls: dict[str, int] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(
            _module: nn.Module, arguments: tuple[object, ...], keywords: Mapping[str, object], output: object
        ) -> None:
            found = called(arguments, keywords, output)
            if isinstance(found, str):
                raise NetworkError(f"block {name!r} must take one tensor and give one tensor: {found}")
            calls[name] = calls.get(name, 0) + 1
            if calls[name] > 1:
                raise NetworkError(f"block {name!r} is called more than once in one run of the teacher")
            recorded[name] = (found.before, found.after)

        return hook

    handles = [teacher.register_forward_hook(lambda *_: calls.clear())]
    handles += [block_of(teacher, name).register_forward_hook(note(name), with_kwargs=True) for name in names]
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


def assemble(teacher: nn.Module, replacements: Mapping[str, nn.Module]) -> nn.Module:
    """A copy of `teacher` in which each named submodule is a copy of its replacement; neither argument changes.

    Raises:
        NetworkError: a name is no submodule of the teacher.
    """
    network = copy.deepcopy(teacher)
    for name, module in replacements.items():
        try:
            put_block(network, name, copy.deepcopy(module))
        except AttributeError as error:
            raise NetworkError(f"the teacher has no submodule {name!r}") from error
    return network.eval()
