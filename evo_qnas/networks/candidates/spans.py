"""Layers of a `Sequential` that follow each other as one block, named `features.4-8`."""

import copy
from collections.abc import Sequence

from torch import nn

from evo_qnas.data.nests import Nest
from evo_qnas.networks.candidates.framing import framed


def span_name(container: str, first: str, last: str) -> str:
    """The name of the layers from `first` to `last` of a container.

    Example:
        >>> span_name("features", "4", "8"), span_name("", "conv", "pool")
        ('features.4-8', 'conv-pool')
    """
    own = f"{first}-{last}"
    return f"{container}.{own}" if container else own


def is_chain(module: nn.Module) -> bool:
    """True for a module that only calls its children one after the other."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def span_of(model: nn.Module, name: str) -> tuple[str, list[str]] | None:
    """Container and children of a span; None of any other name, and of a submodule."""
    container, _, own = name.rpartition(".")
    try:
        whole = model.get_submodule(container)
    except AttributeError:
        return None
    children = list(whole._modules)
    if own in children or not is_chain(whole):
        return None
    for place, child in enumerate(children):
        for end in range(place + 1, len(children)):
            if own == f"{child}-{children[end]}":
                return container, children[place : end + 1]
    return None


def joined_spans(model: nn.Module, names: Sequence[str]) -> nn.Module:
    """The network with the layers of each named span in a `Sequential` of that name; itself where no name is a span.

    The layers keep their own names inside it.

    Args:
        model: stays as it is.
        names: of blocks; those that name no layers of a `Sequential` are left aside.
    """
    spans = {name: found for name in names if (found := span_of(model, name)) is not None}
    if not spans:
        return model
    made = copy.deepcopy(model)
    for name, (container, children) in spans.items():
        whole = made.get_submodule(container)
        if any(child not in whole._modules for child in children):
            continue  # spans that overlap: the second one is no block
        layers = nn.Sequential()
        order = list(whole._modules.items())
        whole._modules.clear()
        for child, layer in order:
            if child == children[0]:
                whole.add_module(name.rpartition(".")[2], layers)
            if child in children:
                layers.add_module(child, layer)
            else:
                whole.add_module(child, layer)
        layers.train(whole.training)
    return made


def with_blocks(model: nn.Module, names: Sequence[str], example: Nest) -> nn.Module:
    """The network with each named block as a submodule from tensor to tensor, see `block_of`; itself where all are.

    Args:
        model: stays unchanged but for being in evaluation mode.
        names: of submodules, and of layers of a `Sequential` that follow each other, `features.4-8`.
        example: inputs of two examples.

    Raises:
        NetworkError: a block takes or gives more than its tensor, and the network reads that.
    """
    return framed(joined_spans(model, names), names, example)
