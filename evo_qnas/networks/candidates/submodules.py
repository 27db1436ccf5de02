"""The submodules of a network as one run calls them: which of them could be blocks, and what they cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from evo_qnas.data.nests import Nest, call, leaves, length
from evo_qnas.networks.candidates.framing import Signature, called


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A submodule that was called.

    Attributes:
        name: as in `get_submodule(name)`.
        kind: name of its class.
        inputs: shape of its input without the batch; () where it takes no single tensor.
        outputs: the same of its output.
        parameters: number of its parameters.
        macs: multiplications per example.
        is_leaf: True for one without submodules.
        takes_input: it reads what goes into the network.
        gives_output: it gives what comes out of the network.
        why_not: why it cannot be a block, "" where it can.
        signature: what its call has beside the tensors, None where it cannot be a block.
        takes: which tensor of the run goes in, 0 where it cannot be a block.
        gives: which one comes out.
    """

    name: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    parameters: int
    macs: int
    is_leaf: bool
    takes_input: bool
    gives_output: bool
    why_not: str
    signature: Signature | None = None
    takes: int = 0
    gives: int = 0

    @property
    def possible(self) -> bool:
        """True where it could be a block: it computes, and nothing stands in the way."""
        return not self.why_not and self.macs > 0


@torch.no_grad()
def submodules(model: nn.Module, example: Nest) -> tuple[Submodule, ...]:
    """Every submodule that is called when a network runs, in the order of their first calls.

    Args:
        model: in any mode; runs in evaluation mode, which it keeps.
        example: inputs of a few examples.
    """
    calls: dict[str, list[tuple[tuple[Any, ...], Mapping[str, Any], Any]]] = {}
    order: list[str] = []

    def before(name: str) -> Callable[..., None]:
        return lambda *_: order.append(name)

    def after(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], keywords: Mapping[str, Any], output: Any) -> None:
            calls.setdefault(name, []).append((arguments, keywords, output))

        return hook

    named = [(name, module) for name, module in model.named_modules() if name]
    handles: list[Any] = [module.register_forward_pre_hook(before(name)) for name, module in named]
    handles += [module.register_forward_hook(after(name), with_kwargs=True) for name, module in named]
    counter = FlopCounterMode(display=False)
    try:
        with counter:
            result = call(model.eval(), example)
    finally:
        for handle in handles:
            handle.remove()
    counts = counter.get_flop_counts()
    ends = {id(leaf) for leaf in leaves(result)}
    starts = {leaf.data_ptr() for leaf in leaves(example)}
    found = []
    for name in dict.fromkeys(order):
        flops = sum(counts.get(f"{type(model).__name__}.{name}", {}).values())
        macs = int(flops) // (2 * length(example))
        found.append(_seen(model.get_submodule(name), name, calls.get(name, []), macs=macs, ends=(starts, ends)))
    return tuple(found)


def _seen(
    module: nn.Module, name: str, calls: list[tuple[Any, Any, Any]], *, macs: int, ends: tuple[set[int], set[int]]
) -> Submodule:
    """A submodule from its calls."""
    taken = [leaf for arguments, keywords, _ in calls for leaf in leaves((arguments, dict(keywords)))]
    given = [leaf for _, _, output in calls for leaf in leaves(output)]
    single = called(*calls[0]) if len(calls) == 1 else f"it is called {len(calls)} times in one run"
    known = None if isinstance(single, str) else single
    return Submodule(
        name=name,
        kind=type(module).__name__,
        inputs=tuple(known.before.shape[1:]) if known else (),
        outputs=tuple(known.after.shape[1:]) if known else (),
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        macs=macs,
        is_leaf=not list(module.children()),
        takes_input=any(leaf.data_ptr() in ends[0] for leaf in taken),
        gives_output=any(id(leaf) in ends[1] for leaf in given),
        why_not=single if isinstance(single, str) else "",
        signature=known.signature if known else None,
        takes=id(known.before) if known else 0,
        gives=id(known.after) if known else 0,
    )
