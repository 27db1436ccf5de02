"""Blocks of a model, by name or found."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data import Splits
from evo_qnas.data.nests import call
from evo_qnas.errors import NetworkError
from evo_qnas.study.inputs import example_of

# A part with more of the parameters is cut further, where it has parts: choices of one block would be all or nothing.
_LARGEST_SHARE = 0.4


def found_blocks(model: nn.Module, blocks: Sequence[str] | str, splits: Splits) -> tuple[str, ...]:
    """The names of blocks; `auto` cuts the model into parts of one tensor in and one out, without first and last layer.

    Raises:
        NetworkError: nothing fits.
    """
    if blocks != "auto":
        return (blocks,) if isinstance(blocks, str) else tuple(blocks)
    found = tuple(_cut(model, _observed(model, splits)))
    if not found:
        raise NetworkError(
            "blocks = 'auto' finds no submodule with weights that takes one tensor, gives one and is called once, "
            "besides the first and last layer: name blocks"
        )
    return found


@final
@dataclass(slots=True)
class _Calls:
    """Calls of a submodule in one run of the model.

    Attributes:
        count: how many.
        first: number of the first, over all submodules.
        plain: one tensor in and one out.
    """

    count: int = 0
    first: int = 0
    plain: bool = True


@torch.no_grad()
def _observed(model: nn.Module, splits: Splits) -> dict[str, _Calls]:
    """The calls of every submodule."""
    calls: dict[str, _Calls] = {}

    def noting(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any], output: Any) -> None:
            entry = calls.setdefault(name, _Calls(first=len(calls)))
            entry.count += 1
            alone = len(arguments) == 1 and not keywords and isinstance(arguments[0], torch.Tensor)
            entry.plain &= alone and isinstance(output, torch.Tensor)

        return hook

    handles = [
        module.register_forward_hook(noting(name), with_kwargs=True) for name, module in model.named_modules() if name
    ]
    try:
        call(model.eval(), example_of(splits))
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _cut(model: nn.Module, calls: dict[str, _Calls]) -> Iterator[str]:
    """The largest parts that may be replaced and are not most of the model, in the order in which they run."""
    weighted = [name for name, module in model.named_modules() if name in calls and _own(module)]
    ordered = sorted(weighted, key=lambda name: calls[name].first)
    ends = set(ordered[:1] + ordered[-1:])
    whole = sum(parameter.numel() for parameter in model.parameters())

    def parts(module: nn.Module, prefix: str) -> Iterator[str]:
        for key, child in module.named_children():
            name = f"{prefix}{key}"
            inside = [other for other in weighted if other == name or other.startswith(f"{name}.")]
            if not inside:
                continue
            share = sum(parameter.numel() for parameter in child.parameters()) / whole
            entry = calls.get(name)
            fits = entry is not None and entry.plain and entry.count == 1 and not ends & set(inside)
            large = share > _LARGEST_SHARE and len(inside) > 1 and any(_fits(calls, other) for other in inside)
            if fits and not large:
                yield name
            else:
                yield from parts(child, f"{name}.")

    yield from sorted(parts(model, ""), key=lambda name: calls[name].first)


def _fits(calls: dict[str, _Calls], name: str) -> bool:
    return calls[name].plain and calls[name].count == 1


def _own(module: nn.Module) -> bool:
    """True for a layer with weights of two axes or more."""
    return any(parameter.ndim > 1 for parameter in module.parameters(recurse=False))
