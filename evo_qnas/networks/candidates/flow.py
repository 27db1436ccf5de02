"""The operations that a module runs, in order, and which values each reads and gives."""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

# A value: a tensor and how often it was written to.
Value = tuple[int, int]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation.

    Attributes:
        name: of the operation in ATen, without the underscore of those that write in place.
        reads: its tensors but the parameters and buffers of modules, in order.
        gives: the first tensor that it gives.
        module: the module whose weights or statistics it reads, None for none.
        shapes: of the tensors that it reads.
        shape: of the one that it gives.
    """

    name: str
    reads: tuple[Value, ...]
    gives: Value
    module: nn.Module | None
    shapes: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """What a module ran on one input.

    Attributes:
        calls: in order.
        output: what it gave.
    """

    calls: tuple[Call, ...]
    output: Value

    def readers(self, value: Value) -> list[Call]:
        """The operations that read a value."""
        return [call for call in self.calls if value in call.reads]

    def maker(self, value: Value) -> Call | None:
        """The operation that gave a value, None for the input."""
        return next((call for call in self.calls if call.gives == value), None)


@final
class _Recorder(TorchDispatchMode):
    """Notes each operation."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own has no types
        self.calls: list[Call] = []
        self._owners = {
            id(tensor): part
            for part in module.modules()
            for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False))
        }
        self._writes: dict[int, int] = {}
        self._kept: list[torch.Tensor] = []  # so that no id is given twice

    def value(self, tensor: torch.Tensor) -> Value:
        """The value that a tensor has now."""
        self._kept.append(tensor)
        return id(tensor), self._writes.get(id(tensor), 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs and notes an operation."""
        tensors = [leaf for leaf in torch.utils._pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        free = [tensor for tensor in tensors if id(tensor) not in self._owners]
        owners = [self._owners[id(tensor)] for tensor in tensors if id(tensor) in self._owners]
        reads, shapes = tuple(self.value(tensor) for tensor in free), tuple(tuple(tensor.shape) for tensor in free)
        results = func(*args, **(kwargs or {}))
        first = results[0] if isinstance(results, (tuple, list)) else results
        if isinstance(first, torch.Tensor):
            if any(first is tensor for tensor in free):
                self._writes[id(first)] = self._writes.get(id(first), 0) + 1
            name = str(func.overloadpacket.__name__).removesuffix("_")
            module = owners[0] if owners else None
            shape = tuple(first.shape)
            call = Call(name=name, reads=reads, gives=self.value(first), module=module, shapes=shapes, shape=shape)
            self.calls.append(call)
        return results


@torch.no_grad()
def flow_of(module: nn.Module, inputs: tuple[int, ...]) -> Flow | None:
    """What a module runs in evaluation mode on an input of a shape, None where it does not take one.

    Args:
        module: keeps its mode and values.
        inputs: shape without the batch.
    """
    modes = [(part, part.training) for part in module.modules()]
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    recorder = _Recorder(module)
    try:
        module.eval()
        example = torch.zeros(2, *inputs, device=device)
        with recorder:
            output = module(example)
        return Flow(calls=tuple(recorder.calls), output=recorder.value(output))
    except Exception:  # a module of anyone's on an input that it may not take
        return None
    finally:
        for part, mode in modes:
            part.training = mode
