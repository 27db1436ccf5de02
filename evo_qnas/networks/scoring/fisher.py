"""Gradients at the ends of a teacher's blocks, and what an error there makes of the teacher's outputs."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.nests import Nest, Structure, call, leaves, length, parts
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.scoring.curvature import root_times
from evo_qnas.networks.tasks.base import Task, evaluation_batch

# Raised where the same errors get another score than before.
FISHER = 1

# Examples in one graph, and the share of a plain run's batch, as a graph keeps every layer's output. Chosen.
_MOST_EXAMPLES, _SHARE = 16, 4


def output_gradients(
    teacher: nn.Module,
    blocks: Sequence[str],
    examples: Examples,
    task: Task,
    *,
    draws: int,
    seed: int,
    most: int | None = None,
) -> dict[str, Float[torch.Tensor, "n draws ..."]]:
    """Gradients at each block's output, of random projections of the teacher's outputs.

    To second order an error e of a block's output moves the network's outputs from the teacher's by the distance
    `1/2 e' J' H J e`, J the derivative of the outputs by the block's output and H the curvature of `Task.match` at the
    teacher's outputs. Each draw is `g = J' sqrt(H) v` with random signs v: the mean of `(g . e) ** 2 / 2` is that
    distance, see `foretold_distance`. For logits and their Kullback-Leibler divergence `J' H J` is the Fisher
    information. One run of the teacher forward and `draws` backward serve all blocks and all their choices.

    Args:
        teacher: in evaluation mode; stays unchanged.
        blocks: names of its submodules.
        examples: what it runs on; the gradients of each example do not depend on the others, save by rounding and by a
            distance that does, such as `mse`.
        task: whose distance from the teacher counts.
        draws: of each example.
        seed: of the draws.
        most: of the examples, the first ones; None for all.

    Raises:
        NetworkError: the distance has no curvature, or no block reaches the outputs by a derivative.

    Source: Martens 2020, New insights and perspectives on the natural gradient method, section 9 (the generalized
    Gauss-Newton matrix); Molchanov et al. 2022 (LANA) and Dong et al. 2020 (HAWQ-V2) weigh errors of layers otherwise.
    """
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, list[torch.Tensor]] = {block: [] for block in blocks}
    count, size = len(examples) if most is None else min(most, len(examples)), evaluation_batch(examples.sample)
    for start in range(0, count, size):
        inputs, _ = examples.take(slice(start, min(start + size, count)))
        with torch.no_grad():
            outputs = call(teacher.eval(), inputs)
        directions = _directions(outputs, task, draws, generator)
        # The distance of a batch may depend on all of it, such as on its variance: graphs of parts follow.
        few = min(_MOST_EXAMPLES, max(1, size // _SHARE))
        for part, some in zip(parts(inputs, few), directions.split(few), strict=True):
            for block, gradient in _gradients(teacher, blocks, part, some).items():
                found[block].append(gradient)
    gradients = {block: torch.cat(each) for block, each in found.items()}
    if not any(bool(each.any()) for each in gradients.values()):
        raise NetworkError(
            "the distance from the teacher has no gradient at the end of any block: score_fisher needs one that can be "
            "differentiated twice, such as match = 'kl' or 'mse'; take [in_context] instead of [fisher]"
        )
    return gradients


def foretold_distance(
    gradients: Float[torch.Tensor, "n draws *shape"], error: Float[torch.Tensor, "n *shape"]
) -> Float[torch.Tensor, " n"]:
    """Distance of the network's outputs from the teacher's that an error of one block makes, to second order.

    Args:
        gradients: at the block's output, by `output_gradients`.
        error: of the block's output.
    """
    moved = torch.einsum("ndk,nk->nd", gradients.flatten(2), error.flatten(1))
    return moved.square().mean(dim=1) / 2.0


@contextmanager
def _ends(teacher: nn.Module, blocks: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Yields a dict that a run of the teacher fills with the output of each block, in the graph of its outputs."""
    ends: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., torch.Tensor]:
        def hook(_module: nn.Module, _arguments: object, output: torch.Tensor) -> torch.Tensor:
            ends[name] = output if output.requires_grad else output.detach().requires_grad_()
            # A copy goes on: what changes it in place would become part of the end.
            return ends[name].clone()

        return hook

    handles = [block_of(teacher, name).register_forward_hook(keep(name)) for name in blocks]
    try:
        yield ends
    finally:
        for handle in handles:
            handle.remove()


def _directions(outputs: Nest, task: Task, draws: int, generator: torch.Generator) -> Float[torch.Tensor, "n draws k"]:
    """Random signs times the root of each example's curvature, over the values of all its outputs."""
    sizes = [leaf[0].numel() for leaf in _floats(outputs)]
    # Example by example: what is drawn for one does not depend on how the examples are split.
    signs = [torch.randint(0, 2, (draws, sum(sizes)), generator=generator) for _ in range(length(outputs))]
    with torch.enable_grad():
        product = _curvature(outputs, task)
        each = [root_times(product, torch.stack([one[draw] for one in signs]) * 2.0 - 1.0) for draw in range(draws)]
    return torch.stack(each, dim=1)


def _gradients(
    teacher: nn.Module, blocks: Sequence[str], inputs: Nest, directions: Float[torch.Tensor, "n draws k"]
) -> dict[str, Float[torch.Tensor, "n draws ..."]]:
    """Gradients of a few examples' outputs along directions."""
    with torch.enable_grad(), _ends(teacher, blocks) as ends:
        leaves_of = _floats(call(teacher, inputs))
    points = [leaf for leaf in leaves_of if leaf.requires_grad]
    if not points:  # cut off, such as by rounding
        return {
            name: torch.zeros_like(end)[:, None].expand(-1, directions.shape[1], *end.shape[1:])
            for name, end in ends.items()
        }
    sizes = [leaf[0].numel() for leaf in leaves_of]
    found: list[tuple[torch.Tensor, ...]] = []
    for draw in directions.unbind(dim=1):
        along = [
            part.reshape(leaf.shape)
            for part, leaf in zip(draw.split(sizes, dim=1), leaves_of, strict=True)
            if leaf.requires_grad
        ]
        found.append(
            torch.autograd.grad(
                points, list(ends.values()), along, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        )
    return {name: torch.stack([one[index] for one in found], dim=1) for index, name in enumerate(ends)}


def _floats(outputs: Nest) -> list[torch.Tensor]:
    """The tensors of floats in a nest."""
    return [leaf for leaf in leaves(outputs) if leaf.is_floating_point()]


def _curvature(outputs: Nest, task: Task) -> Callable[[Float[torch.Tensor, "n k"]], Float[torch.Tensor, "n k"]]:
    """Products of vectors with the curvature of each example's distance from the teacher at the teacher's outputs."""
    fixed = [leaf.detach() for leaf in leaves(outputs)]
    free = [leaf.clone().requires_grad_() if leaf.is_floating_point() else leaf for leaf in fixed]
    structure = Structure.of(outputs)
    apart = task.match(structure.restored(free), structure.restored(fixed))
    points = [leaf for leaf in free if leaf.requires_grad]
    total = (apart.flatten(1).mean(dim=1) if apart.ndim > 1 else apart).sum()
    slopes: tuple[torch.Tensor, ...] = torch.autograd.grad(total, points, create_graph=True, materialize_grads=True)
    sizes = [leaf[0].numel() for leaf in points]

    def product(vectors: Float[torch.Tensor, "n k"]) -> Float[torch.Tensor, "n k"]:
        curved = [slope for slope in slopes if slope.requires_grad]
        if not curved:
            return torch.zeros_like(vectors)
        split = [part.reshape(leaf.shape) for part, leaf in zip(vectors.split(sizes, dim=1), points, strict=True)]
        along = [part for part, slope in zip(split, slopes, strict=True) if slope.requires_grad]
        found = torch.autograd.grad(curved, points, along, retain_graph=True, materialize_grads=True)
        return torch.cat([part.flatten(1) for part in found], dim=1)

    return product
