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


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockShape:
    """A block of a teacher: its name and the shapes that go in and out, without the batch.

    Attributes:
        name: submodule name, as in `teacher.get_submodule(name)`.
        inputs: (channels, height, width) or whatever the block takes.
        outputs: the same for what it gives.
        dilation: that of the block's convolutions with more than one tap, their median; 1 where it has none.
        channel_axis: axis of the output's channels, images being axis 0: 1 of maps and vectors, 2 of tokens.
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
    def stride(self) -> int:
        """Factor by which the output map is smaller than the input map (1 where they are no maps)."""
        if len(self.inputs) < 3 or len(self.outputs) < 3 or not self.outputs[-1]:
            return 1
        return max(1, round(self.inputs[-1] / self.outputs[-1]))


def find_blocks(teacher: nn.Module, names: Sequence[str], example: Nest) -> tuple[BlockShape, ...]:
    """The blocks called `names`, with the shapes found by running `teacher` on `example`.

    Raises:
        NetworkError: a name is unknown (the nearest ones are listed), lies inside another block, or its submodule does
            not take one tensor and give one, or is not called exactly once.
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
    with torch.no_grad(), recording(teacher, names) as recorded:
        call(teacher.eval(), example)
    shapes = []
    for name in names:
        if name not in recorded:
            raise NetworkError(f"block {name!r} is never called when the teacher runs")
        before, after = recorded[name]
        dilation = _dilation(teacher.get_submodule(name))
        channel_axis = _channel_axis(teacher.get_submodule(name), after.ndim)
        inputs, outputs = tuple(before.shape[1:]), tuple(after.shape[1:])
        shapes.append(
            BlockShape(name=name, inputs=inputs, outputs=outputs, dilation=dilation, channel_axis=channel_axis)
        )
    return tuple(shapes)


def _dilation(block: nn.Module) -> int:
    """Median dilation of the convolutions of more than one tap."""
    convolutions = [
        module for module in block.modules() if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1
    ]
    dilations = sorted(int(module.dilation[0]) for module in convolutions)
    return dilations[len(dilations) // 2] if dilations else 1


def _channel_axis(block: nn.Module, rank: int) -> int:
    """Axis of the channels in an output of `rank` axes: the last of tokens, which are no maps of 1-D convolutions."""
    return 2 if rank == 3 and not any(isinstance(module, nn.Conv1d) for module in block.modules()) else 1


@contextmanager
def recording(teacher: nn.Module, names: Sequence[str]) -> Iterator[dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    """Yields a dict that each run of the teacher fills with (input, output) of every named block."""
    recorded: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    calls: dict[str, int] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[object, ...], output: object) -> None:
            entering = arguments[0] if len(arguments) == 1 else None
            if not isinstance(entering, torch.Tensor) or not isinstance(output, torch.Tensor):
                raise NetworkError(f"block {name!r} must take one tensor and give one tensor")
            calls[name] = calls.get(name, 0) + 1
            if calls[name] > 1:
                raise NetworkError(f"block {name!r} is called more than once in one run of the teacher")
            recorded[name] = (entering, output)

        return hook

    handles = [teacher.register_forward_hook(lambda *_: calls.clear())]
    handles += [teacher.get_submodule(name).register_forward_hook(note(name)) for name in names]
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
            network.set_submodule(name, copy.deepcopy(module), strict=True)
        except AttributeError as error:
            raise NetworkError(f"the teacher has no submodule {name!r}") from error
    return network.eval()
