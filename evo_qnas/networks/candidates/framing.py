"""Blocks that take constants beside their one tensor, or give it in a container, as modules from tensor to tensor."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn
from torch.utils import _pytree as pytree

from evo_qnas.data.nests import Nest, Structure, call, leaves, rows
from evo_qnas.errors import NetworkError

# What may stand beside the tensor: it is the same in every call.
_CONSTANTS = (type(None), bool, int, float, str, torch.dtype, torch.device, torch.Size)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a module takes and gives beside one tensor each.

    Attributes:
        inputs: of (arguments, keywords).
        outputs: of what it gives.
    """

    inputs: Structure
    outputs: Structure

    @property
    def is_plain(self) -> bool:
        """True where one tensor alone goes in and comes out."""
        return self.inputs.spec == _PLAIN.spec and self.outputs.spec == _TENSOR.spec

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and files have nests in place of torch's description of them, which no file of torch's own has."""
        found = [pytree.tree_unflatten(list(each.others), each.spec) for each in (self.inputs, self.outputs)]
        return _signature, tuple(found)


def _signature(inputs: Nest, outputs: Nest) -> Signature:
    """The signature of nests in which `Structure` stands for the tensor."""
    found = [pytree.tree_flatten(nest) for nest in (inputs, outputs)]
    one, other = (Structure(spec=spec, others=tuple(places)) for places, spec in found)
    return Signature(inputs=one, outputs=other)


_TENSOR = Structure.of(torch.zeros(()))
_PLAIN = Structure.of(((torch.zeros(()),), {}))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call of a module.

    Attributes:
        signature: what stands beside the tensors.
        before: the tensor that went in.
        after: the tensor that came out.
    """

    signature: Signature
    before: torch.Tensor
    after: torch.Tensor


def called(arguments: tuple[Any, ...], keywords: Mapping[str, Any], output: Any) -> Called | str:
    """The tensors of a call and what stands beside them; a reason where it has more tensors, or none.

    Whole numbers and truth values in a tensor whose first axis is not that of examples are a constant.
    """
    taken = _split((arguments, dict(keywords)), least=_examples(leaves((arguments, dict(keywords)))))
    if isinstance(taken, str):
        return f"it takes {taken}"
    given = _split(output, least=0)
    if isinstance(given, str):
        return f"it gives {given}"
    if not taken[0].is_floating_point() or not given[0].is_floating_point():
        return "its tensors are no floats"
    return Called(signature=Signature(inputs=taken[1], outputs=given[1]), before=taken[0], after=given[0])


def _examples(tensors: Sequence[torch.Tensor]) -> int:
    """Number of examples of a call: rows of its first tensor of floats, 0 where it has none."""
    return next((len(tensor) for tensor in tensors if tensor.is_floating_point() and tensor.ndim), 0)


def _split(nest: Nest, *, least: int) -> tuple[torch.Tensor, Structure] | str:
    """The one tensor of a nest, and what stands beside it; in words what it has instead."""
    found, spec = pytree.tree_flatten(nest)
    tensors = [leaf for leaf in found if isinstance(leaf, torch.Tensor) and not _is_constant(leaf, least)]
    if len(tensors) != 1:
        return f"{len(tensors)} tensors"
    others = [leaf for leaf in found if leaf is not tensors[0]]
    odd = [leaf for leaf in others if not isinstance(leaf, (*_CONSTANTS, torch.Tensor))]
    if odd:
        return f"a {type(odd[0]).__name__} beside its tensor"
    places = tuple(Structure if leaf is tensors[0] else leaf for leaf in found)
    return tensors[0], Structure(spec=spec, others=places)


def _is_constant(tensor: torch.Tensor, examples: int) -> bool:
    return examples > 1 and not tensor.is_floating_point() and (tensor.ndim == 0 or len(tensor) != examples)


@final
class OneTensor(nn.Module):
    """A module that is called with its tensor alone: constants are those of a signature, its container is opened."""

    def __init__(self, module: nn.Module, signature: Signature) -> None:
        super().__init__()
        self.module, self.signature = module, signature

    def forward(self, x: Float[torch.Tensor, "n ..."]) -> Float[torch.Tensor, "n ..."]:
        """What the module makes of the tensor."""
        found = [x if leaf is Structure else _beside(leaf, x) for leaf in self.signature.inputs.others]
        arguments, keywords = pytree.tree_unflatten(found, self.signature.inputs.spec)
        given = pytree.tree_leaves(self.module(*arguments, **keywords))
        place = self.signature.outputs.others.index(Structure)
        after: torch.Tensor = given[place]
        return after


def _beside(constant: Any, x: torch.Tensor) -> Any:
    return constant.to(x.device) if isinstance(constant, torch.Tensor) else constant


@final
class Frame(nn.Module):
    """Stands in a network where a block of a signature stood: its body makes a tensor of a tensor.

    Attributes:
        body: the block, or what replaces it.
        signature: of the calls.
    """

    def __init__(self, body: nn.Module, signature: Signature) -> None:
        super().__init__()
        self.body, self.signature = body, signature

    def forward(self, *arguments: Any, **keywords: Any) -> Any:
        """What the body makes of the tensor, in the container that the block gives."""
        found, spec = pytree.tree_flatten((arguments, keywords))
        inputs = self.signature.inputs
        if spec != inputs.spec or not all(map(_fits, found, inputs.others)):
            raise NetworkError("a block is called with other arguments than those with which it was found")
        after = self.body(found[inputs.others.index(Structure)])
        filled = [after if leaf is Structure else leaf for leaf in self.signature.outputs.others]
        return pytree.tree_unflatten(filled, self.signature.outputs.spec)


def _fits(leaf: Any, known: Any) -> bool:
    """True for the tensor, for constants in tensors, and for the same constant."""
    if known is Structure or isinstance(known, torch.Tensor):
        return isinstance(leaf, torch.Tensor)
    return type(leaf) is type(known) and bool(leaf == known)


def alone(module: nn.Module, signature: Signature) -> nn.Module:
    """A module as one from tensor to tensor: itself where it is."""
    return module if signature.is_plain else OneTensor(module, signature)


def block_of(network: nn.Module, name: str) -> nn.Module:
    """The block of a network called `name`, from tensor to tensor; see `framed` for those that take more."""
    found = network.get_submodule(name)
    return found.body if isinstance(found, Frame) else found


def put_block(network: nn.Module, name: str, module: nn.Module) -> None:
    """Replaces a block of a network.

    Raises:
        AttributeError: the network has no such submodule.
    """
    found = network.get_submodule(name)
    if isinstance(found, Frame):
        found.body = module
    else:
        network.set_submodule(name, module, strict=True)


@torch.no_grad()
def framed(model: nn.Module, names: Sequence[str], example: Nest) -> nn.Module:
    """The network with a frame around each named block that takes or gives more than its tensor; itself without any.

    Names that are no submodules or lie inside one another are left as they are.

    Args:
        model: stays unchanged but for being in evaluation mode.
        names: of blocks.
        example: inputs of two examples.

    Raises:
        NetworkError: with frames the network gives something else, since it reads more of a block than what that gives.
    """
    known = {name for name, _ in model.named_modules() if name}
    usable = [name for name in names if name in known and not any(name.startswith(f"{other}.") for other in names)]
    signatures = _signatures(model, usable, example)
    if not signatures:
        return model
    made = copy.deepcopy(model)
    for name, signature in signatures.items():
        made.set_submodule(name, Frame(OneTensor(made.get_submodule(name), signature), signature), strict=True)
    single = rows(example, slice(0, 1))  # constants that depend on the number of examples are refused
    try:
        same = all(map(torch.equal, leaves(call(made, single)), leaves(call(model, single))))
    except (AttributeError, TypeError) as error:
        raise NetworkError(f"the network reads more of its blocks than what they give: {error}") from error
    if not same:
        raise NetworkError("the network gives something else with its blocks as modules of one tensor")
    return made


def _signatures(model: nn.Module, names: Sequence[str], example: Nest) -> dict[str, Signature]:
    """Those of the blocks that take or give more than a tensor, and are called once."""
    calls: dict[str, list[Called | str]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: tuple[Any, ...], keywords: Mapping[str, Any], output: Any) -> None:
            calls.setdefault(name, []).append(called(arguments, keywords, output))

        return hook

    handles = [model.get_submodule(name).register_forward_hook(note(name), with_kwargs=True) for name in names]
    try:
        if names:
            call(model.eval(), example)
    finally:
        for handle in handles:
            handle.remove()
    single = {name: found[0] for name, found in calls.items() if len(found) == 1}
    return {
        name: found.signature
        for name, found in single.items()
        if isinstance(found, Called) and not found.signature.is_plain
    }
