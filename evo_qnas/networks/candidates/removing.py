"""Candidates that are the teacher's own block with fewer layers, or with less than an attention in its place."""

import copy
from typing import Any, ClassVar, Final, final

import torch
from jaxtyping import Float
from torch import fx, nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.channels.tracing import name_of, trace
from evo_qnas.networks.candidates.framing import Frame, OneTensor, alone
from evo_qnas.networks.candidates.submodules import Submodule, submodules

# What stands in the place of an attention.
REPLACEMENTS: Final = ("none", "linear", "mean")
# Operations that leave a shortcut what it is.
_SAME = frozenset({"dropout", "clone", "contiguous", "alias", "detach", "to", "permute", "transpose", "view"}) | {
    "reshape"
}


def layers_with_shortcut(block: nn.Module, inputs: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the layers of a block that add what they compute to their own input, in the order in which they run.

    Those inside another are part of it; a block that is one such layer as a whole is not listed itself.

    Args:
        block: stays as it is.
        inputs: shape of its input without the batch.
    """
    return tuple(part.name for part in _with_shortcut(block, inputs))


def _with_shortcut(block: nn.Module, inputs: tuple[int, ...]) -> list[Submodule]:
    found: list[Submodule] = []
    for part in _parts(block, inputs):
        module = block.get_submodule(part.name)
        inside = any(part.name.startswith(f"{other.name}.") for other in found)
        several = isinstance(module, nn.Sequential) and len(module) > 1
        if (
            not inside
            and not several
            and part.inputs == part.outputs
            and _has_shortcut(_alone(block, part), part.inputs)
        ):
            found.append(part)
    return found


def without_layers(block: nn.Module, drop: int, inputs: tuple[int, ...]) -> nn.Module | None:
    """A copy of a block without the last `drop` of its layers with a shortcut; None where it has fewer, or no others.

    The first layer of a stage changes the map and stays; of those that refine it the last go, as a stack of fewer
    layers begins with the teacher's first ones.

    Args:
        block: the teacher's, stays as it is.
        drop: how many layers go, at least 1.
        inputs: shape of the block's input without the batch.

    Source: Huang et al. 2016, Deep Networks with Stochastic Depth, for networks that survive the loss of such layers.
    """
    layers = _with_shortcut(block, inputs)
    if not 0 < drop <= len(layers):
        return None
    shorter = copy.deepcopy(block).eval()
    for layer in layers[len(layers) - drop :]:
        _put(shorter, layer, nn.Identity())
    return shorter if any(True for _ in shorter.parameters()) else None


def attentions(block: nn.Module, inputs: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the smallest submodules of a block that hold an attention: one tensor in, one of the same shape out.

    `nn.MultiheadAttention` is one too, whatever it is called with.

    Args:
        block: stays as it is.
        inputs: shape of its input without the batch.
    """
    whole = [name for name, part in block.named_modules() if name and isinstance(part, nn.MultiheadAttention)]
    found = list(whole)
    for part in reversed(_parts(block, inputs)):
        holds = any(name.startswith(f"{part.name}.") for name in found)
        inside = any(part.name.startswith(f"{name}.") for name in whole)
        if holds or inside or part.inputs != part.outputs:
            continue
        if _attends(_alone(block, part), part.inputs):
            found.append(part.name)
    order = [name for name, _ in block.named_modules()]
    return tuple(sorted(found, key=order.index))


def without_attention(block: nn.Module, replacement: str, inputs: tuple[int, ...]) -> nn.Module | None:
    """A copy of a block with something cheaper in the place of every attention; None without one.

    Args:
        block: the teacher's, stays as it is.
        replacement: "none", which gives zeros, so that the shortcut alone is left; "linear", a linear layer on each
            token; "mean", the same and a linear layer on the mean of all tokens. Both begin as zeros and learn.
        inputs: shape of the block's input without the batch.

    Source: Bercovich et al. 2024, Puzzle, section 3.1, whose attention is full, linear or none; Yu et al. 2022,
    MetaFormer, for pooling in its place, there over neighbours, here over all tokens.
    """
    names = attentions(block, inputs)
    if not names:
        return None
    changed = copy.deepcopy(block).eval()
    example = torch.zeros(2, *inputs, device=_device(block))
    parts = {part.name: part for part in _parts(block, inputs)}
    for name in names:
        part = block.get_submodule(name)
        made: nn.Module
        if isinstance(part, nn.MultiheadAttention):
            made = _InPlaceOfMultihead(_replacement(replacement, part.embed_dim, axis=-1), part.batch_first)
            changed.set_submodule(name, made.to(_device(block)), strict=True)
        else:
            shape = find_blocks(copy.deepcopy(block), [name], example)[0]
            made = _replacement(replacement, shape.channels[0], axis=shape.channel_axis)
            _put(changed, parts[name], made.to(_device(block)))
    try:
        with torch.no_grad():
            changed(example)
    except (AttributeError, TypeError, NetworkError):  # the block reads something else of its attention
        return None
    return changed.eval()


def _device(block: nn.Module) -> torch.device:
    return next((parameter.device for parameter in block.parameters()), torch.device("cpu"))


def names_of_called(block: nn.Module, inputs: tuple[int, ...]) -> frozenset[str]:
    """Names of the submodules that a block calls when it runs on an input of a shape, which is without the batch."""
    return frozenset(part.name for part in _called(block, inputs))


def _parts(block: nn.Module, inputs: tuple[int, ...]) -> list[Submodule]:
    """Submodules with parameters that take one tensor and give one, called once, in the order of their calls."""
    whole = "module" if isinstance(block, OneTensor) else ""
    return [part for part in _called(block, inputs) if part.parameters and not part.why_not and part.name != whole]


def _alone(block: nn.Module, part: Submodule) -> nn.Module:
    """A submodule from tensor to tensor."""
    module = block.get_submodule(part.name)
    return module if part.signature is None else alone(module, part.signature)


def _put(block: nn.Module, part: Submodule, module: nn.Module) -> None:
    """Replaces a submodule by a module from tensor to tensor."""
    if part.signature is not None and not part.signature.is_plain:
        module = Frame(module, part.signature)
    block.set_submodule(part.name, module, strict=True)


def _called(block: nn.Module, inputs: tuple[int, ...]) -> tuple[Submodule, ...]:
    """Every submodule that is called, () of a block that does not take such an input."""
    modes = [(part, part.training) for part in block.modules()]
    try:
        return submodules(block, torch.zeros(2, *inputs, device=_device(block)))
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return ()
    finally:
        for part, mode in modes:
            part.training = mode


def _has_shortcut(module: nn.Module, inputs: tuple[int, ...]) -> bool:
    """True where what a module gives is its input plus something, by functions of each value at most."""
    traced = trace(module, inputs)
    if traced is None:
        return False
    nodes = list(traced.graph.graph.nodes)
    source = next(node for node in nodes if node.op == "placeholder")
    same = {source}
    for node in nodes:
        if name_of(node) in _SAME and node.args[0] in same:
            same.add(node)
    output: Any = next(node for node in nodes if node.op == "output").args[0]
    return _adds(output, same)


def _adds(node: fx.Node, same: set[fx.Node]) -> bool:
    """True where a value is a sum with the input, or with such a sum, behind functions of each value and norms."""
    name = name_of(node)
    if name == "add":
        return any(argument in same or _adds(argument, same) for argument in node.all_input_nodes)
    through = len(node.all_input_nodes) == 1 or name in {"layer_norm", "batch_norm"}
    return node.op == "call_function" and through and _adds(node.all_input_nodes[0], same)


def _attends(module: nn.Module, inputs: tuple[int, ...]) -> bool:
    """True where a module computes a softmax whose result multiplies other results, or the fused attention."""
    traced = trace(module, inputs)
    if traced is None:
        return False
    for node in traced.graph.graph.nodes:
        if name_of(node) == "scaled_dot_product_attention":
            return True
        if name_of(node) in {"softmax", "_softmax"} and any(_multiplies(reader) for reader in node.users):
            return True
    return False


def _multiplies(node: fx.Node) -> bool:
    """True for a product of matrices, also behind operations that change nothing but the shape."""
    if name_of(node) in {"matmul", "bmm", "einsum"}:
        return True
    return name_of(node) in _SAME | {"expand"} and any(_multiplies(reader) for reader in node.users)


def _replacement(kind: str, width: int, *, axis: int) -> nn.Module:
    if kind not in REPLACEMENTS:
        raise NetworkError(f"an attention is replaced by one of {', '.join(REPLACEMENTS)}, got {kind!r}")
    return Zeros() if kind == "none" else Tokenwise(width, axis=axis, mean=kind == "mean")


@final
class Zeros(nn.Module):
    """Gives zeros of the shape of its input."""

    def forward(self, x: Float[torch.Tensor, "*shape"], *_: Any, **__: Any) -> Float[torch.Tensor, "*shape"]:
        """Zeros, whatever the input; masks and the like are not looked at."""
        return x * 0.0


@final
class Tokenwise(nn.Module):
    """A linear layer on each token and, where asked for, one on the mean of all tokens; they begin as zeros."""

    def __init__(self, width: int, *, axis: int, mean: bool) -> None:
        super().__init__()
        self.own = nn.Linear(width, width)
        self.all = nn.Linear(width, width, bias=False) if mean else None
        self.axis = axis
        for layer in (self.own, self.all):
            for parameter in () if layer is None else layer.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Float[torch.Tensor, "n *sizes"], *_: Any, **__: Any) -> Float[torch.Tensor, "n *sizes"]:
        """The same shape in and out; masks and the like are not looked at."""
        tokens = x.movedim(self.axis, -1)
        y: torch.Tensor = self.own(tokens)
        if self.all is not None:
            y = y + self.all(tokens.mean(list(range(1, tokens.ndim - 1)), keepdim=True))
        return y.movedim(-1, self.axis)


@final
class _InPlaceOfMultihead(nn.Module):
    """Takes what `nn.MultiheadAttention` takes, and gives what it gives without weights."""

    # What torch's encoder layer asks its attention before it takes its fused kernel: the answer keeps it from that.
    batch_first: ClassVar = False

    def __init__(self, body: nn.Module, batch_first: bool) -> None:
        super().__init__()
        self.body, self.transposes = body, not batch_first

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, None]:
        """What the body makes of the values, as many as there are queries, and no weights."""
        if query.shape != value.shape:
            raise NetworkError(
                f"this attention takes {tuple(value.shape)} values for {tuple(query.shape)} queries:"
                " only self-attention can be replaced"
            )
        given: torch.Tensor = self.body(value.transpose(0, 1)) if self.transposes else self.body(value)
        return (given.transpose(0, 1) if self.transposes else given), None
