"""Block-wise distillation: every candidate of a block learns to copy the teacher's feature maps."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Examples
from evo_qnas.data.batches import batches
from evo_qnas.data.nests import Nest, call, moved, parts
from evo_qnas.errors import DivergenceError
from evo_qnas.networks.acceleration.convolutions import fast_convolutions
from evo_qnas.networks.acceleration.devices import Precision, autocast, channels_last, to_rest, to_training
from evo_qnas.networks.candidates.blocks import recording
from evo_qnas.networks.tasks.base import evaluation_batch
from evo_qnas.networks.tasks.divergence import finite, first_divergent
from evo_qnas.networks.training.features import Features
from evo_qnas.networks.training.noise import noise_to_signal


def _parts(images: Examples | Nest) -> Iterator[Nest]:
    """Inputs of the network, a few examples at a time."""
    if isinstance(images, Examples):
        yield from (pixels for pixels, _ in images.parts(min(256, evaluation_batch(images.sample))))
    else:
        yield from parts(images, min(256, evaluation_batch(images)))


@torch.no_grad()
def block_features(
    teacher: nn.Module, block: str, images: Examples | Nest, *, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The teacher's feature maps before and after a block for all images, in memory on the CPU; float32."""
    inputs: list[torch.Tensor] = []
    outputs: list[torch.Tensor] = []
    teacher.to(device).eval()
    with recording(teacher, [block]) as recorded:
        for part in _parts(images):
            call(teacher, moved(part, device))
            # A ReLU in place further on must not reach into what was recorded.
            inputs.append(recorded[block][0].detach().clone().cpu())
            outputs.append(recorded[block][1].detach().clone().cpu())
    teacher.to("cpu")
    return torch.cat(inputs), torch.cat(outputs)


def distill(
    candidates: Mapping[str, nn.Module],
    features: Features,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    precision: Precision = "float32",
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, float]:
    """Trains all candidates of a block in place from the same batches; gives each one's loss at the end.

    Each candidate ends the same whichever others learn beside it: AdamW with one cycle of the learning rate works on
    one value at a time, and the batches depend on the seed alone. The loss is `noise_to_signal` with the variance over
    all targets; what is given is its mean over the last tenth of steps. On CUDA every candidate has a stream of its own
    (so that small ones fill the device together; written with no such device at hand: neither tested nor measured).

    Args:
        candidates: modules by operator name; a module without parameters is left as it is.
        features: the teacher's feature maps before and after the block.
        steps: training steps.
        batch_size: images per step.
        learning_rate: highest rate.
        weight_decay: decoupled weight decay.
        seed: decides the batches.
        precision: `bfloat16` runs convolutions in bfloat16, `auto` where the device multiplies it; weights, their
            updates and the loss stay float32.
        device: where to train.
        advance: called with the number of candidate-steps done.

    Raises:
        DivergenceError: the loss of a candidate, or a weight at its end, is no number; the others have learnt to the
            end, and their losses are the error's.

    Source: Li et al. 2020, DNA, section 3.2; Moons et al. 2021, DONNA, section 3.2.
    """
    learning = {name: module for name, module in candidates.items() if list(module.parameters())}
    if not learning:
        return {}
    for module in learning.values():
        to_training(module, device).train()
    parameters = [parameter for module in learning.values() for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    variance = features.variance.to(device)
    lanes = _Lanes(len(learning), device)
    tail = max(1, steps // 10)
    losses: list[torch.Tensor] = []
    generator = torch.Generator().manual_seed(seed)
    with fast_convolutions(learning.values()):
        for chosen in batches(len(features), batch_size, steps, generator):
            inputs, targets = (channels_last(part.to(device)) for part in features.take(chosen))
            optimizer.zero_grad(set_to_none=True)
            step_losses = []
            for lane, module in enumerate(learning.values()):
                with lanes.lane(lane):
                    with autocast(precision, device):
                        output = module(inputs)
                    loss = noise_to_signal(targets, output.float(), variance, features.channel_axis).mean()
                    loss.backward()
                    step_losses.append(loss.detach())
            lanes.join()
            optimizer.step()
            schedule.step()
            losses.append(torch.stack(step_losses))
            advance(len(learning))
    for module in learning.values():
        to_rest(module)
    means = torch.stack(losses[-tail:]).double().mean(dim=0).tolist()
    found = dict(zip(learning, means, strict=True))
    _check(learning, torch.stack(losses), found, learning_rate)
    return found


def _check(
    learning: Mapping[str, nn.Module], losses: Float[torch.Tensor, "steps n"], found: Mapping[str, float], rate: float
) -> None:
    """Refuses candidates that learnt no numbers, with the losses of the others."""
    odd: dict[str, str] = {}
    for index, (name, module) in enumerate(learning.items()):
        step = first_divergent(losses[:, index])
        if step is not None:
            odd[name] = f"the loss of operator {name!r} is no number in step {step} of {len(losses)}"
        elif not finite(module):
            odd[name] = f"operator {name!r} has weights that are no numbers after its last step"
    if odd:
        others = f" (nor have {len(odd) - 1} others learnt)" if len(odd) > 1 else ""
        error = DivergenceError(
            f"{next(iter(odd.values()))}{others}: lower distillation.learning_rate = {rate:g}, or leave the operator "
            "out where it stands in [[operators]]"
        )
        error.losses = {name: loss for name, loss in found.items() if name not in odd}
        error.diverged = odd
        raise error


@final
class _Lanes:
    """One CUDA stream per candidate; on other devices nothing."""

    def __init__(self, count: int, device: str) -> None:
        on_cuda = torch.device(device).type == "cuda" and torch.cuda.is_available()
        self.streams = [torch.cuda.Stream(device) for _ in range(count)] if on_cuda else []
        self.device = device

    def lane(self, index: int) -> AbstractContextManager[Any]:
        """Context in which a candidate's work runs; it waits for the batch that the main stream prepares."""
        if not self.streams:
            return nullcontext()
        self.streams[index].wait_stream(torch.cuda.current_stream(self.device))
        return torch.cuda.stream(self.streams[index])

    def join(self) -> None:
        """Makes the main stream wait for all candidates."""
        for stream in self.streams:
            torch.cuda.current_stream(self.device).wait_stream(stream)


def candidate_steps(candidates: Sequence[nn.Module], steps: int) -> int:
    """Number of candidate-steps that `distill` takes for these candidates."""
    return steps * sum(1 for module in candidates if list(module.parameters()))
