"""torch's export with a memory: networks of one structure are exported once, and each gets a program with its weights.

Nine tenths of what capturing a small network takes is torch's own tracing, and tests capture the same few structures
many hundred times. Two networks have one structure where everything but the values of their parameters, buffers and
examples is equal: classes, attributes, modes, hooks, shapes. Tests of the capture do without, see their conftest.
"""

import copy
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import pytest
import torch
from torch import nn

__all__ = ["ExportedOnce", "exported_anew", "exported_once"]

# Structures that are kept: those of a test file or two.
_KEPT = 128


class _Structure(cloudpickle.Pickler):
    """Pickles everything but the values of named tensors."""

    def __init__(self, stream: io.BytesIO, named: dict[int, str]) -> None:
        super().__init__(stream)
        self._named = named

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, torch.Tensor) or id(obj) not in self._named:
            return None
        layout = (tuple(obj.shape), obj.stride(), str(obj.dtype), str(obj.device), obj.requires_grad)
        return (self._named[id(obj)], type(obj).__name__, *layout)


class ExportedOnce:
    """Stands for `torch.export.export`."""

    def __init__(self, export: Callable[..., Any]) -> None:
        self.export = export
        self.hits = self.misses = 0
        self._programs: OrderedDict[bytes, Any] = OrderedDict()

    def __call__(self, network: nn.Module, arguments: Any, keywords: Any = None, **options: Any) -> Any:
        weights = network.state_dict(keep_vars=True)
        key = _key(network, weights, arguments, keywords, options)
        if key is not None and key in self._programs:
            self.hits += 1
            self._programs.move_to_end(key)
            program = copy.deepcopy(self._programs[key])
            program._state_dict.update({name: weights[name] for name in program._state_dict})
            return program
        self.misses += 1
        program = self.export(network, arguments, keywords, **options)
        # Constants are tensors that no name of the state leads to: their values are part of the program.
        if key is not None and not program.constants and program._state_dict.keys() <= weights.keys():
            self._programs[key] = copy.deepcopy(program)
            if len(self._programs) > _KEPT:
                self._programs.popitem(last=False)
        return program


def _key(network: nn.Module, weights: dict[str, Any], arguments: Any, keywords: Any, options: Any) -> bytes | None:
    """Of a structure; None where it cannot be written down."""
    leaves = torch.utils._pytree.tree_leaves((arguments, keywords))
    named = {id(leaf): f"example {number}" for number, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)}
    named |= {id(tensor): name for name, tensor in weights.items() if isinstance(tensor, torch.Tensor)}
    stream = io.BytesIO()
    # A test may put another forward in the place of a class's own.
    forwards = [id(type(module).forward) for module in network.modules()]
    state = (torch.is_grad_enabled(), torch.get_default_dtype(), list(weights), forwards)
    try:
        _Structure(stream, named).dump((network, arguments, keywords, repr(options), state))
    except Exception:
        return None
    return stream.getvalue()


@pytest.fixture(scope="session", autouse=True)
def exported_once() -> Iterator[None]:
    """For all tests of a folder whose conftest names it."""
    plain = torch.export.export
    if isinstance(plain, ExportedOnce):  # by another folder
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.export, "export", ExportedOnce(plain))
        yield


@pytest.fixture
def exported_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own export, without a memory, for a test of what capturing twice gives."""
    export = torch.export.export
    if isinstance(export, ExportedOnce):
        monkeypatch.setattr(torch.export, "export", export.export)
