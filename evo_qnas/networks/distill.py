"""Block-wise distillation: every candidate of a block learns to copy the teacher's feature maps."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.data import Images
from evo_qnas.networks.blocks import recording
from evo_qnas.networks.devices import channels_last, to_rest, to_training
from evo_qnas.networks.noise import channel_variance, noise_to_signal
from evo_qnas.networks.tasks import evaluation_batch
from evo_qnas.networks.training import batches


def _parts(images: Images | torch.Tensor) -> Iterator[torch.Tensor]:
    """Normalised pixels, a few images at a time."""
    if isinstance(images, Images):
        yield from (pixels for pixels, _ in images.parts(min(256, evaluation_batch(images.pixels))))
    else:
        yield from images.split(min(256, evaluation_batch(images)))


@torch.no_grad()
def block_features(
    teacher: nn.Module, block: str, images: Images | Float[torch.Tensor, "n c h w"], *, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """The teacher's feature maps before and after a block for all images, in memory on the CPU; float32."""
    taken: list[torch.Tensor] = []
    given: list[torch.Tensor] = []
    teacher.to(device).eval()
    with recording(teacher, [block]) as seen:
        for part in _parts(images):
            teacher(part.to(device))
            # A ReLU in place further on must not reach into what was recorded.
            taken.append(seen[block][0].detach().clone().cpu())
            given.append(seen[block][1].detach().clone().cpu())
    teacher.to("cpu")
    return torch.cat(taken), torch.cat(given)


def distill(
    candidates: Mapping[str, nn.Module],
    inputs: Float[torch.Tensor, "n ..."],
    targets: Float[torch.Tensor, "n ..."],
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    seed: int,
    device: str = "cpu",
    advance: Callable[[int], None] = lambda _: None,
) -> dict[str, float]:
    """Trains all candidates of a block in place from the same batches; gives each one's loss at the end.

    Each candidate has its own AdamW with one cycle of the learning rate; the batches depend on the seed alone, so that
    a candidate ends the same whichever others learn beside it. The loss is `noise_to_signal` with the variance over
    all targets; what is given is its mean over the last tenth of steps.

    Args:
        candidates: modules by operator name; a module without parameters is left as it is.
        inputs: the teacher's feature maps before the block, float32.
        targets: and after it.
        steps: training steps.
        batch_size: images per step.
        learning_rate: highest rate.
        weight_decay: decoupled weight decay.
        seed: decides the batches.
        device: where to train.
        advance: called with the number of candidate-steps done.

    Source: Li et al. 2020, DNA, section 3.2; Moons et al. 2021, DONNA, section 3.2.
    """
    learning = {name: module for name, module in candidates.items() if list(module.parameters())}
    optimizers = {
        name: torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=weight_decay)
        for name, module in learning.items()
    }
    schedules = [
        torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
        for optimizer in optimizers.values()
    ]
    variance = channel_variance(targets).to(device)
    losses: dict[str, list[float]] = {name: [] for name in learning}
    for module in learning.values():
        to_training(module, device).train()
    generator = torch.Generator().manual_seed(seed)
    for chosen in batches(len(inputs), batch_size, steps, generator):
        taken, wanted = (channels_last(part[chosen].to(device)) for part in (inputs, targets))
        for name, module in learning.items():
            loss = noise_to_signal(wanted, module(taken), variance).mean()
            optimizers[name].zero_grad(set_to_none=True)
            loss.backward()
            optimizers[name].step()
            losses[name].append(float(loss.detach()))
        for schedule in schedules:
            schedule.step()
        advance(len(learning))
    for module in learning.values():
        to_rest(module)
    tail = max(1, steps // 10)
    return {name: sum(values[-tail:]) / tail for name, values in losses.items()}


def candidate_steps(candidates: Sequence[nn.Module], steps: int) -> int:
    """How many candidate-steps `distill` takes for these candidates."""
    return steps * sum(1 for module in candidates if list(module.parameters()))
