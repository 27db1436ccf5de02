"""Layers that follow each other as one block: `features.4-8` of a list of layers, `decoder.conv1+conv2` of others."""

import copy
from collections.abc import Sequence
from typing import Any, final

import torch
from torch import nn

from evo_qnas.data.nests import Nest, call, leaves
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.framing import framed


def span_name(model: nn.Module, container: str, children: Sequence[str]) -> str:
    """The name of layers of a container that are called in this order.

    Example:
        >>> layers = nn.Sequential(*(nn.Identity() for _ in range(4)))
        >>> span_name(layers, "", ["1", "2", "3"]), span_name(nn.LSTM(2, 2), "", ["conv", "norm"])
        ('1-3', 'conv+norm')
    """
    whole = model.get_submodule(container)
    own = f"{children[0]}-{children[-1]}" if is_list(whole) else "+".join(children)
    return f"{container}.{own}" if container else own


def is_chain(module: nn.Module) -> bool:
    """True for a module that only calls its children one after the other."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def is_list(module: nn.Module) -> bool:
    """True for a module whose children are gone through in their order."""
    return is_chain(module) or isinstance(module, nn.ModuleList)


def span_of(model: nn.Module, name: str) -> tuple[str, list[str]] | None:
    """Container and children of joined layers; None of any other name, and of a submodule."""
    container, _, own = name.rpartition(".")
    try:
        whole = model.get_submodule(container)
    except AttributeError:
        return None
    children = list(whole._modules)
    if own in children:
        return None
    named = own.split("+")
    if not is_list(whole):
        known = len(named) > 1 and len(set(named)) == len(named) and set(named) <= set(children)
        return (container, named) if known else None
    for place, child in enumerate(children):
        for end in range(place + 1, len(children)):
            if own == f"{child}-{children[end]}":
                return container, children[place : end + 1]
    return None


def joined_spans(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """The network with the layers of each such name in a `Sequential` of that name; itself where no name is one.

    The layers keep their own names inside it. In a list of layers it stands where they stood; in any other module the
    first of them calls it, and the others give what they take.

    Args:
        model: stays as it is.
        names: of blocks; those that name no layers that follow each other are left aside.
    """
    spans = {name: found for name in names if (found := span_of(model, name)) is not None}
    if not spans:
        return model
    made = copy.deepcopy(model)
    for name, (container, children) in spans.items():
        whole = made.get_submodule(container)
        taken = [whole._modules.get(child) for child in children]
        if any(layer is None or isinstance(layer, _Runs) for layer in taken):
            continue  # spans that overlap: the second one is no block
        layers = nn.Sequential().train(whole.training)
        for child, layer in zip(children, taken, strict=True):
            layers.add_module(child, layer)
        _put_span(whole, name.rpartition(".")[2], children, layers)
    return made


def _put_span(whole: nn.Module, own: str, children: Sequence[str], layers: nn.Module) -> None:
    if not is_list(whole):
        for child in children[1:]:
            whole.add_module(child, nn.Identity())
        whole.add_module(children[0], _Runs(whole, own))
        whole.add_module(own, layers)
        return
    order = list(whole._modules.items())
    whole._modules.clear()
    for child, layer in order:
        if child == children[0]:
            whole.add_module(own, layers)
        if child not in children:
            whole.add_module(child, layer)


@final
class _Runs(nn.Module):
    """Runs another submodule of the module in which it stands."""

    def __init__(self, whole: nn.Module, name: str) -> None:
        super().__init__()
        self.whole, self.name = (whole,), name  # in a tuple: it is no submodule of this one

    def forward(self, x: torch.Tensor) -> Any:
        """What the other submodule gives."""
        return self.whole[0].get_submodule(self.name)(x)


@torch.no_grad()
def gives_the_same(one: nn.Module, other: nn.Module, example: Nest) -> bool:
    """True where two networks give the same tensors in evaluation mode."""
    try:
        ours, theirs = (leaves(call(network.eval(), example)) for network in (one, other))
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError):  # what reads layers by their place
        return False
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def with_blocks(model: nn.Module, names: Sequence[str], example: Nest) -> nn.Module:
    """The network with each named block as a submodule from tensor to tensor, see `block_of`; itself where all are.

    Args:
        model: stays unchanged but for being in evaluation mode.
        names: of submodules, and of layers that follow each other, see `joined_spans`.
        example: inputs of two examples.

    Raises:
        NetworkError: layers do not follow each other, or a block takes or gives more than its tensor, and the network
            reads that.
    """
    made = joined_spans(model, names)
    if made is not model and not gives_the_same(made, model, example):
        found = [name for name in names if span_of(model, name) is not None]
        raise NetworkError(f"{', '.join(found)}: these layers do not follow each other when the network runs")
    return framed(made, names, example)
